//! `Mutation.registerVendorConnectors`. Writes connectors.
use shared::Outbox;
use vendor::register_connectors;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let outbox = Outbox::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| register_connectors(&outbox, &caller, arguments).await).await
}
