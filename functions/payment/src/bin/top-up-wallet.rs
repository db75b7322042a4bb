//! `Mutation.topUpWallet`. Charges a card through the provider; writes payments and the wallet; tells `PAYMENT_FAILED`.
use payment::{Payments, top_up};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let payments = Payments::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| top_up(&payments, &caller, arguments).await).await
}
