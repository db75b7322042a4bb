//! `$disconnect`: forgets a socket.

use shared::Failure;
use tracing::info;

use crate::{LiveTable, SocketAnswer, SocketEvent};

/// Forgets the socket, what it subscribed to and the user's place that it took, unless another has taken that. One
/// that is forgotten already is no matter.
pub async fn disconnect(table: &LiveTable, event: &SocketEvent) -> Result<SocketAnswer, Failure> {
    if table.close(&event.socket()).await? {
        info!("disconnected");
    }
    Ok(SocketAnswer::status(200))
}
