//! `Mutation.registerCharger`. Writes chargers and connectors.
use charger::{Registry, register};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let registry = Registry::from_env(&config)?;
    shared::resolver(async |caller, arguments| register(&registry, caller, arguments).await).await
}
