//! Each hour, and just before it. Writes subscriptions whose month ends, with invoices and wallets; tells
//! `SUBSCRIPTION_RENEWED`, `SUBSCRIPTION_ENDED` and `PAYMENT_COMPLETED` or `INVOICE_GENERATED`.
use shared::Outbox;
use tariff::{RenewRequest, renew_subscriptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let outbox = Outbox::from_env(&config)?;
    shared::task(async |invocation, _: RenewRequest| renew_subscriptions(&outbox, invocation).await).await
}
