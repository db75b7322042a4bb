//! `POST /v1/bookings/confirm`. As `Mutation.confirmBooking`, but for a card that failed, which is refused.
use booking::{BookingSummary, Desk, confirm};
use payment::Payments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (desk, payments) = (Desk::from_env(&config)?, Payments::from_env(&config)?);
    rest::route(async |caller, asked| {
        BookingSummary::confirmed(confirm(&desk, &payments, &caller, asked).await?)
    })
    .await
}
