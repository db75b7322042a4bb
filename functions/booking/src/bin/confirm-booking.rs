//! `Mutation.confirmBooking`. Reads Redis and `slot_holds`; writes bookings, payments, invoices and the wallet; charges a
//! card through the provider; tells `BOOKING_CONFIRMED` and `PAYMENT_COMPLETED`, or `BOOKING_CANCELLED` and `PAYMENT_FAILED`.
use booking::{ConfirmBooking, Desk, confirm};
use payment::Payments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (desk, payments) = (Desk::from_env(&config)?, Payments::from_env(&config)?);
    shared::resolver(async |caller, ConfirmBooking { input }| confirm(&desk, &payments, &caller, input).await)
        .await
}
