//! Each day. Forgets published events and old notifications.
use events::purge;
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::task(async |invocation, _: events::PurgeRequest| purge(&database, invocation).await).await
}
