//! `POST /v1/bookings/{id}/cancel`. As `Mutation.cancelBooking`.
use booking::{BookingState, Desk, Policy, cancel};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (desk, policy) = (Desk::from_env(&shared::aws_config().await)?, Policy::from_env()?);
    rest::route(async |caller, fields| cancel(&desk, &policy, &caller, fields).await.map(BookingState::from))
        .await
}
