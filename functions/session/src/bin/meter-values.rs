//! `Query.meterValues`. Reads sessions and what their meters said.
use session::{Stores, meter_values};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let stores = Stores::from_env().await?;
    shared::resolver(async |caller, arguments| meter_values(&stores, caller, arguments).await).await
}
