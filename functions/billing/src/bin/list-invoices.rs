//! `Query.listInvoices`. Reads invoices.
use billing::invoices;
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| invoices(&database, &caller, arguments).await).await
}
