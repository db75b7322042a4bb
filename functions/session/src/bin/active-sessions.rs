//! `Query.activeSessions`. Reads sessions.
use session::{Stores, active};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| active(&stores, caller, arguments).await).await
}
