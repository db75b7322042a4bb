//! `GET /v1/stations/{id}`. Reads stations, their connections and connectors; Redis first.
use station::{Details, v1};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let details = Details::from_env().await?;
    rest::route(async |_caller, fields| v1::get(&details, fields).await).await
}
