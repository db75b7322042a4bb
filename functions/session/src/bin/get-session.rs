//! `Query.getSession`. Reads sessions, from the cache if there is one.
use session::{Stores, get};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| get(&stores, caller, arguments).await).await
}
