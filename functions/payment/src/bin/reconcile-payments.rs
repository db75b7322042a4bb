//! Every five minutes. Asks the provider about payments and refunds that are open, and settles them by its answers.
use payment::{Payments, reconcile};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let payments = Payments::from_env(&shared::aws_config().await)?;
    shared::task(async |invocation, request| reconcile(&payments, invocation, request).await).await
}
