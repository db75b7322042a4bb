//! Each minute: calls that nobody answered, sessions that wait in vain. Writes calls and sessions, posts to chargers.
use charger::{ApiSockets, CallTable, ConnectionTable, Desk, ExpiryRequest, Registry, expire};
use shared::Invocation;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let records = Registry::from_env(&config)?;
    let connections = ConnectionTable::from_env(&config)?;
    let calls = CallTable::from_env(&config)?;
    let sockets = ApiSockets::from_env(&config)?;
    let desk = Desk { records: &records, connections: &connections, calls: &calls, sockets: &sockets };
    shared::task(async |invocation: Invocation, _: ExpiryRequest| expire(desk, invocation.at).await).await
}
