//! `Query.plans`. Reads plans.
use serde::de::IgnoredAny;
use shared::Database;
use tariff::plans;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |_, _: IgnoredAny| plans(&database).await).await
}
