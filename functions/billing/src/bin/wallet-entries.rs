//! `Query.walletEntries`. Reads wallets.
use billing::wallet_entries;
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| wallet_entries(&database, &caller, arguments).await).await
}
