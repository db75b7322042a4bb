//! `Query.nearbyStations`. Reads the mirror, stations and connectors; Redis first, and its last list when the mirror is gone.
use station::{Nearby, nearby};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Nearby::from_env().await?;
    shared::resolver(async |caller, search| nearby(&stores, search, caller.at).await).await
}
