//! `Mutation.updateSession`. Writes sessions and the audit log, and the cache if there is one.
use session::{Stores, update};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| update(&stores, caller, arguments).await).await
}
