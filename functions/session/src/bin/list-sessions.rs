//! `Query.listSessions`. Reads sessions.
use session::{Stores, list};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| list(&stores, caller, arguments).await).await
}
