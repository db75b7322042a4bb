//! Consumes `SESSION_ENDED`. Reads sessions, tariffs and flat rates; writes invoices, wallets, the session's cost and
//! the energy a flat rate has covered; tells `PAYMENT_COMPLETED` or `INVOICE_GENERATED`.
use billing::Biller;
use shared::Outbox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let biller = Biller::new(Outbox::from_env(&config)?);
    shared::consumer(async |event| biller.bill(&event, chrono::Utc::now()).await).await
}
