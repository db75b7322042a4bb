//! `$disconnect` of the OCPP API. Writes chargers and connections.
use charger::{ConnectionTable, Registry, SocketEvent, disconnect};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let records = Registry::from_env(&config)?;
    let connections = ConnectionTable::from_env(&config)?;
    shared::run(async |invocation: Invocation, event: SocketEvent| {
        disconnect(&records, &connections, &event, invocation.at).await
    })
    .await
}
