//! `Mutation.settleRefund`. Writes refunds, the wallet and the audit log; tells `PAYMENT_REFUNDED`.
use payment::settle_refund;
use shared::Outbox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let outbox = Outbox::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| settle_refund(&outbox, &caller, arguments).await).await
}
