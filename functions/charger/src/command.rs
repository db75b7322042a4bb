//! Asks chargers for what sessions want of them: consumes `SESSION_UPDATED` with status `STARTING` or `STOPPING`.

use serde::Deserialize;
use session::Status;
use shared::{Envelope, Event, Failure, SessionId, Timestamp};
use tracing::info;

use crate::protocol::{self, Remote};
use crate::{Call, Commanded, Desk, Purpose};

/// What is read of `SESSION_UPDATED`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionUpdated {
    /// The session.
    pub session_id: SessionId,
    /// Its state then.
    pub status: Status,
}

impl Event for SessionUpdated {
    const TYPE: &'static str = "SESSION_UPDATED";
}

/// Sends the charger a remote start or stop, once an event: the event's id is the message's. Nothing is sent for a
/// session that has moved on since.
pub async fn command(desk: Desk<'_>, event: Envelope<SessionUpdated>, at: Timestamp) -> Result<(), Failure> {
    let SessionUpdated { session_id, status } = event.payload;
    let Some(wanted) = desk.records.commanded(session_id, at).await? else { return Ok(()) };
    if wanted.status != status {
        info!(session.id = %session_id, "the session has moved on: nothing is asked");
        return Ok(());
    }
    let Some((purpose, remote)) = request(session_id, &wanted)? else { return Ok(()) };
    if !wanted.online {
        // A stop is asked for again when the charger is back.
        if matches!(purpose, Purpose::Start(_)) {
            desk.records.fail(session_id, "CHARGER_OFFLINE", at).await?;
        }
        return Ok(());
    }

    let message_id = event.event_id.to_string();
    let (action, payload) = (remote.action.to_owned(), remote.payload);
    let call = Call { message_id, action, payload, purpose, asked_at: event.timestamp };
    let charger = &wanted.charge_point_id;
    desk.calls.enqueue(charger, &call, at).await?;
    desk.dispatch(charger, at).await
}

/// What a session's state asks for, in the charger's protocol.
fn request(session_id: SessionId, wanted: &Commanded) -> Result<Option<(Purpose, Remote)>, Failure> {
    let Some(protocol) = wanted.protocol else { return Ok(None) };
    Ok(match (wanted.status, &wanted.transaction_id) {
        (Status::Starting, _) => {
            Some((Purpose::Start(session_id), protocol::remote_start(protocol, wanted)?))
        }
        (Status::Stopping, Some(transaction)) => {
            Some((Purpose::Stop(session_id), protocol::remote_stop(protocol, transaction)?))
        }
        _ => None,
    })
}
