//! Consumes `SESSION_STARTED`, `SESSION_ENDED` and `SLOT_HOLD_CREATED`. Reads sessions; writes bookings, connectors and
//! `slot_holds`; forgets freed slots in Redis.
use booking::{Desk, track};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let desk = Desk::from_env(&shared::aws_config().await)?;
    shared::consumer(async |event| track(&desk, event, chrono::Utc::now()).await).await
}
