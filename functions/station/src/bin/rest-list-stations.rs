//! `GET /v1/stations`. Reads the mirror, stations and connectors; Redis first, and its last list when the mirror is gone.
use station::{Nearby, v1};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Nearby::from_env().await?;
    rest::route_reply(async |caller, fields| v1::list(&stores, fields, caller.at).await).await
}
