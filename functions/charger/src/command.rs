//! Asks chargers for what sessions want of them, to stop what nobody pays for, and to keep connectors for those who have
//! booked them: consumes `SESSION_UPDATED` with status `STARTING` or `STOPPING`, `TRANSACTION_REFUSED`, `BOOKING_DUE`,
//! `BOOKING_CANCELLED` and `BOOKING_NO_SHOW`. A connector that a vendor tells of has no charger to ask.

use serde::Deserialize;
use serde_json::Value;
use session::Status;
use shared::{BookingId, Envelope, EventId, Events, Failure, SessionId, Timestamp, read_fields};
use tracing::info;

use crate::protocol::{self, Remote};
use crate::{Call, ChargePointId, Commanded, Desk, Need, Purpose};

/// The events that ask something of a charger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// `SESSION_UPDATED`.
    Session(SessionUpdated),
    /// `TRANSACTION_REFUSED`.
    Refusal(TransactionRefused),
    /// `BOOKING_DUE`.
    Due(BookingTold),
    /// `BOOKING_CANCELLED` or `BOOKING_NO_SHOW`.
    Forgone(BookingTold),
}

impl Events for Wish {
    fn read(event_type: &str, fields: Value) -> Option<Result<Self, Failure>> {
        Some(match event_type {
            "SESSION_UPDATED" => read_fields(fields).map(Self::Session),
            "TRANSACTION_REFUSED" => read_fields(fields).map(Self::Refusal),
            "BOOKING_DUE" => read_fields(fields).map(Self::Due),
            "BOOKING_CANCELLED" | "BOOKING_NO_SHOW" => read_fields(fields).map(Self::Forgone),
            _ => return None,
        })
    }
}

/// What is read of `SESSION_UPDATED`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionUpdated {
    /// The session.
    pub session_id: SessionId,
    /// Its state then.
    pub status: Status,
}

/// What is read of `TRANSACTION_REFUSED`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionRefused {
    /// Whose transaction it is.
    pub charge_point_id: ChargePointId,
    /// By its name at the charger.
    pub transaction_id: String,
}

/// What is read of a booking's events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookingTold {
    /// The booking.
    pub booking_id: BookingId,
}

/// Sends the charger what an event asks for, once: the event's id is the message's.
pub async fn command(desk: Desk<'_>, event: Envelope<Wish>, at: Timestamp) -> Result<(), Failure> {
    let message_id = event.event_id.to_string();
    match event.payload {
        Wish::Session(updated) => follow(desk, updated, message_id, event.timestamp, at).await,
        Wish::Refusal(refused) => {
            // One that is not connected is asked again when it tells more of the transaction.
            let Some(connection) = desk.connections.of(&refused.charge_point_id).await? else {
                return Ok(());
            };
            let remote = protocol::remote_stop(connection.protocol, &refused.transaction_id)?;
            let call = remote.call(message_id, Purpose::Refuse, event.timestamp);
            ask(desk, &refused.charge_point_id, &call, at).await
        }
        Wish::Due(told) => keep(desk, told.booking_id, Need::Reserve, message_id, event.timestamp, at).await,
        Wish::Forgone(told) => {
            keep(desk, told.booking_id, Need::Release, message_id, event.timestamp, at).await
        }
    }
}

/// Asks for what a booking needs, if it is still that. A charger that cannot be asked is left alone: whoever comes to it,
/// `startSession` knows the booking.
async fn keep(
    desk: Desk<'_>,
    booking: BookingId,
    need: Need,
    message_id: String,
    asked_at: Timestamp,
    at: Timestamp,
) -> Result<(), Failure> {
    let Some(reservation) = desk.records.reservation(booking, at).await? else { return Ok(()) };
    if reservation.need != Some(need) {
        info!(%booking, "the booking has moved on: nothing is asked");
        return Ok(());
    }
    let (Some(protocol), true) = (reservation.protocol, reservation.online) else { return Ok(()) };
    let (purpose, remote) = match need {
        Need::Reserve => (Purpose::Reserve(booking), protocol::reserve(protocol, &reservation)?),
        Need::Release => {
            (Purpose::Release(booking), protocol::release(protocol, reservation.reservation_id)?)
        }
    };
    ask(desk, &reservation.charge_point_id, &remote.call(message_id, purpose, asked_at), at).await
}

/// Has a reservation given back that was made for a booking which has been forgone meanwhile: that was told before the
/// charger was even asked, or while it was.
pub(crate) async fn reserved(desk: Desk<'_>, booking: BookingId, at: Timestamp) -> Result<(), Failure> {
    keep(desk, booking, Need::Release, EventId::new().to_string(), at, at).await
}

/// Asks for what a session wants. Nothing is sent for one that has moved on since.
async fn follow(
    desk: Desk<'_>,
    updated: SessionUpdated,
    message_id: String,
    asked_at: Timestamp,
    at: Timestamp,
) -> Result<(), Failure> {
    let SessionUpdated { session_id, status } = updated;
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
    ask(desk, &wanted.charge_point_id, &remote.call(message_id, purpose, asked_at), at).await
}

async fn ask(desk: Desk<'_>, charger: &ChargePointId, call: &Call, at: Timestamp) -> Result<(), Failure> {
    desk.calls.enqueue(charger, call, at).await?;
    desk.dispatch(charger, at).await
}

impl Remote {
    fn call(self, message_id: String, purpose: Purpose, asked_at: Timestamp) -> Call {
        Call { message_id, action: self.action.to_owned(), payload: self.payload, purpose, asked_at }
    }
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
