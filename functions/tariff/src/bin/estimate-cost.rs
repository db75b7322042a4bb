//! `Query.estimateCost`. Reads tariffs and the caller's flat rate.
use shared::Database;
use tariff::estimate_cost;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| estimate_cost(&database, &caller, arguments).await).await
}
