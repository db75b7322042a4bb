//! `Mutation.refundInvoice`. Writes refunds, credit notes, the wallet and the audit log; gives money back to a card through
//! the provider; tells `PAYMENT_REFUNDED`.
use payment::{Payments, refund};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let payments = Payments::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| refund(&payments, &caller, arguments).await).await
}
