//! Every five minutes. Reads sessions; writes bookings, connectors, refunds and credit notes; forgets freed slots in Redis;
//! tells `BOOKING_DUE`, `BOOKING_NO_SHOW`, `CONNECTOR_STATUS_CHANGED` and `PAYMENT_REFUNDED`.
use booking::{Desk, Policy, mark_no_shows};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (desk, policy) = (Desk::from_env(&shared::aws_config().await)?, Policy::from_env()?);
    shared::task(async |invocation, request| mark_no_shows(&desk, &policy, invocation, request).await).await
}
