//! `Mutation.debitWallet`. Writes wallets and the audit log.
use billing::debit;
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| debit(&database, &caller, arguments).await).await
}
