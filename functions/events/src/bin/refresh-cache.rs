//! Consumes `CONNECTOR_STATUS_CHANGED`, `SESSION_*` and `OCM_SYNC_COMPLETED`. Writes Redis.
use events::refresh;
use shared::Cache;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let cache = Cache::from_env()?;
    shared::consumer(async |event| refresh(&cache, event, chrono::Utc::now()).await).await
}
