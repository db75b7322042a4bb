//! Consumer of `SESSION_UPDATED` (`STARTING`, `STOPPING`). Reads sessions, writes calls, posts to chargers.
use charger::{SessionUpdated, Stores, command};
use shared::Envelope;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::consumer(async |event: Envelope<SessionUpdated>| {
        command(stores.desk(), event, chrono::Utc::now()).await
    })
    .await
}
