//! Every six hours: mirrors what changed at OpenChargeMap into Aurora and MongoDB.
use station::{Synchronisation, synchronise};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Synchronisation::from_env().await?;
    shared::task(async |invocation, request| synchronise(&stores, invocation, request).await).await
}
