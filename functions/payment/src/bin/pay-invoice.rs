//! `Mutation.payInvoice`. Writes payments, and with them invoices and the wallet; charges a card through the provider; tells
//! `PAYMENT_COMPLETED` or `PAYMENT_FAILED`.
use payment::{Payments, pay_invoice};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let payments = Payments::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| pay_invoice(&payments, &caller, arguments).await).await
}
