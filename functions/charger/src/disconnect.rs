//! `$disconnect`: forgets a socket, never its successor.

use shared::{Failure, Timestamp};
use tracing::info;

use crate::{Connections, Records, SocketAnswer, SocketEvent};

/// Forgets the socket. It may come late, after the charger has dialled in anew: then nothing else changes.
pub async fn disconnect(
    records: &dyn Records,
    connections: &dyn Connections,
    event: &SocketEvent,
    at: Timestamp,
) -> Result<SocketAnswer, Failure> {
    if let Some(connection) = connections.find(event.connection_id()).await? {
        records.disconnected(connection.charger, &connection.id, at).await?;
        connections.close(&connection).await?;
        info!(charger = %connection.charge_point_id, "disconnected");
    }
    Ok(SocketAnswer::status(200))
}
