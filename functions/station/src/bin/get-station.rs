//! `Query.getStation`. Reads stations, their connections and connectors; Redis first.
use station::{Details, get};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let details = Details::from_env().await?;
    shared::resolver(async |_caller, arguments| get(&details, arguments).await).await
}
