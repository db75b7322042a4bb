//! `$default` of the OCPP API. Reads and writes everything about chargers, and sessions by what chargers report.
use charger::{ApiSockets, CallTable, ConnectionTable, Desk, Registry, SocketEvent, receive};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let records = Registry::from_env(&config)?;
    let connections = ConnectionTable::from_env(&config)?;
    let calls = CallTable::from_env(&config)?;
    let sockets = ApiSockets::from_env(&config)?;
    let desk = Desk { records: &records, connections: &connections, calls: &calls, sockets: &sockets };
    shared::run(async |invocation: Invocation, event: SocketEvent| {
        receive(desk, &calls, &event, invocation.at).await
    })
    .await
}
