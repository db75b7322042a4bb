//! `Query.nearbyStations`. Reads the mirror, stations and connectors; Redis first.
use station::{Nearby, nearby};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Nearby::from_env().await?;
    shared::resolver(async |_caller, search| nearby(&stores, search).await).await
}
