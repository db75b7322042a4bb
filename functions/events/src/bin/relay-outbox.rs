//! Each minute. Publishes what `outbox` holds and the bus does not know.
use events::relay;
use shared::Outbox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let outbox = Outbox::from_env(&config)?;
    shared::task(async |invocation, _: events::RelayRequest| relay(&outbox, invocation).await).await
}
