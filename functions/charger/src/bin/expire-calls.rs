//! Each minute: calls that nobody answered, sessions that wait in vain. Writes calls and sessions, posts to chargers.
use charger::{ExpiryRequest, Stores, expire};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::task(async |invocation: Invocation, _: ExpiryRequest| expire(stores.desk(), invocation.at).await)
        .await
}
