//! `Mutation.cancelBooking`. Writes bookings, refunds, credit notes and the wallet; tells `BOOKING_CANCELLED` and
//! `PAYMENT_REFUNDED`; forgets the slot in Redis.
use booking::{Desk, Policy, cancel};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (desk, policy) = (Desk::from_env(&shared::aws_config().await)?, Policy::from_env()?);
    shared::resolver(async |caller, arguments| cancel(&desk, &policy, &caller, arguments).await).await
}
