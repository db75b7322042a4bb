//! Consumes the hints of `stripe-webhook`. Asks the provider, and settles payments and refunds by its answer.
use payment::{Payments, settle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let payments = Payments::from_env(&shared::aws_config().await)?;
    shared::consumer(async |hint| settle(&payments, &hint, chrono::Utc::now()).await).await
}
