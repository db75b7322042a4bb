//! `Mutation.createTariff`. Writes tariffs and the audit log; operators only.
use shared::Database;
use tariff::create_tariff;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| create_tariff(&database, &caller, arguments).await).await
}
