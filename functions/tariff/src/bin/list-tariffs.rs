//! `Query.listTariffs`. Reads tariffs; operators only.
use shared::Database;
use tariff::list_tariffs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| list_tariffs(&database, &caller, arguments).await).await
}
