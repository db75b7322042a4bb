//! `$connect` of the OCPP API. Reads and writes chargers, writes connections, closes the socket that this one replaces.
use charger::{ApiSockets, ConnectionTable, Registry, SocketEvent, connect};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let records = Registry::from_env(&config)?;
    let connections = ConnectionTable::from_env(&config)?;
    let sockets = ApiSockets::from_env(&config)?;
    shared::run(async |invocation: Invocation, event: SocketEvent| {
        connect(&records, &connections, &sockets, &event, invocation.at).await
    })
    .await
}
