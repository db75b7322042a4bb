//! `Mutation.endTariff`. Writes tariffs and the audit log; operators only.
use shared::Database;
use tariff::end_tariff;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| end_tariff(&database, &caller, arguments).await).await
}
