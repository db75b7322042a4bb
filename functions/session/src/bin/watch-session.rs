//! `Subscription.onSessionStatusChanged`. Reads sessions, to tell who may subscribe.
use session::{Stores, watch};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| watch(&stores, caller, arguments).await).await
}
