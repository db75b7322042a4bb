//! Consumer of `SESSION_UPDATED` (`STARTING`, `STOPPING`). Reads sessions, writes calls, posts to chargers.
use charger::{ApiSockets, CallTable, ConnectionTable, Desk, Registry, SessionUpdated, command};
use shared::Envelope;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let records = Registry::from_env(&config)?;
    let connections = ConnectionTable::from_env(&config)?;
    let calls = CallTable::from_env(&config)?;
    let sockets = ApiSockets::from_env(&config)?;
    let desk = Desk { records: &records, connections: &connections, calls: &calls, sockets: &sockets };
    shared::consumer(async |event: Envelope<SessionUpdated>| command(desk, event, chrono::Utc::now()).await)
        .await
}
