//! Consumer of `SESSION_UPDATED` (`STARTING`, `STOPPING`) and `TRANSACTION_REFUSED`. Reads sessions, writes calls, posts to chargers.
use charger::{Stores, command};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::consumer(async |event| command(stores.desk(), event, chrono::Utc::now()).await).await
}
