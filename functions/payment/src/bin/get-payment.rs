//! `Query.payment`. Reads payments; asks the provider about one that is open, and settles it by the answer.
use payment::{Payments, get};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let payments = Payments::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| get(&payments, &caller, arguments).await).await
}
