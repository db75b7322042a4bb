//! `Mutation.startSession`. Reads stations and chargers, writes sessions and the cache; the charger is asked, not awaited.
use session::{Stores, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| start(&stores, caller, arguments).await).await
}
