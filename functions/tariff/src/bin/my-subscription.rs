//! `Query.mySubscription`. Reads subscriptions.
use serde::de::IgnoredAny;
use shared::Database;
use tariff::my_subscription;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, _: IgnoredAny| my_subscription(&database, &caller).await).await
}
