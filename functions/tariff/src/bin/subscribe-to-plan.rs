//! `Mutation.subscribeToPlan`. Reads plans; writes subscriptions, an invoice and the wallet; tells
//! `SUBSCRIPTION_STARTED` and `PAYMENT_COMPLETED` or `INVOICE_GENERATED`.
use shared::Outbox;
use tariff::subscribe_to_plan;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let outbox = Outbox::from_env(&config)?;
    shared::resolver(async |caller, arguments| subscribe_to_plan(&outbox, &caller, arguments).await).await
}
