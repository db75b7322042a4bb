//! `Mutation.endSession`. Writes sessions and the cache; a charger that has begun is asked to stop, not awaited.
use session::{Stores, end};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| end(&stores, caller, arguments).await).await
}
