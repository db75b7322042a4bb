//! Sends a charger what waits for it, one call at a time.

use chrono::TimeDelta;
use shared::{Failure, Timestamp};
use tracing::{info, warn};

use crate::{Call, Calls, ChargePointId, Connection, Connections, Posted, Purpose, Records, Sockets, frame};

/// API Gateway knows a socket only once its `$connect` has been answered: one so new is not gone, but not there yet.
const SETTLING: TimeDelta = TimeDelta::seconds(10);

/// Everything that calls to chargers need.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// The database.
    pub records: &'a dyn Records,
    /// The open sockets.
    pub connections: &'a dyn Connections,
    /// The queues.
    pub calls: &'a dyn Calls,
    /// The way out.
    pub sockets: &'a dyn Sockets,
}

impl Desk<'_> {
    /// Sends the next call, if none is outstanding. One that cannot be delivered is given up and the next one tried.
    pub(crate) async fn dispatch(&self, charger: &ChargePointId, at: Timestamp) -> Result<(), Failure> {
        while let Some(call) = self.calls.next(charger, at).await? {
            let is_stale = at - call.asked_at > call.purpose.patience();
            if !is_stale {
                match self.send(charger, &call, at).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(failure) => {
                        self.calls.put_back(charger, &call).await?;
                        return Err(failure);
                    }
                }
            }
            self.calls.settle(charger, &call.message_id).await?;
            if let Purpose::Start(session) = call.purpose {
                self.records.fail(session, "CHARGER_OFFLINE", at).await?;
            }
        }
        Ok(())
    }

    /// Whether API Gateway took it.
    async fn send(&self, charger: &ChargePointId, call: &Call, at: Timestamp) -> Result<bool, Failure> {
        let Some(connection) = self.connections.of(charger).await? else {
            warn!(%charger, action = call.action, "not connected: not sent");
            return Ok(false);
        };
        let frame = frame::call(&call.message_id, &call.action, &call.payload)?;
        match self.sockets.post(&connection.id, &frame).await? {
            Posted::Sent => {
                info!(%charger, action = call.action, message_id = call.message_id, "sent");
                Ok(true)
            }
            Posted::Gone if connection.connected_at + SETTLING > at => {
                Err(Failure::Unavailable("the charger's new connection"))
            }
            Posted::Gone => {
                warn!(%charger, action = call.action, "the connection is gone: not sent");
                self.forget(&connection, at).await?;
                Ok(false)
            }
        }
    }

    async fn forget(&self, connection: &Connection, at: Timestamp) -> Result<(), Failure> {
        self.connections.close(connection).await?;
        self.records.disconnected(connection.charger, &connection.id, at).await
    }
}
