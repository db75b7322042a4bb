//! `Query.getSession`. Reads sessions.
use session::{Stores, get};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| get(&stores, caller, arguments).await).await
}
