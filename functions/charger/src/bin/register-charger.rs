//! `Mutation.registerCharger`. Writes chargers and connectors.
use charger::{Registry, register};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let registry = Registry::from_env(&config)?;
    shared::resolver(async |caller, arguments| register(&registry, caller, arguments).await).await
}
