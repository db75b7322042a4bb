//! Consumes `SESSION_ENDED`. Reads sessions and tariffs; writes invoices, wallets and the session's cost; tells
//! `PAYMENT_COMPLETED` or `INVOICE_GENERATED`.
use billing::bill;
use shared::Outbox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let outbox = Outbox::from_env(&config)?;
    shared::consumer(async |event| bill(&outbox, &event, chrono::Utc::now()).await).await
}
