//! What happens elsewhere and concerns bookings: sessions that begin and end, and holds that are taken.

use serde::Deserialize;
use serde_json::Value;
use shared::{Envelope, Event, Events, Failure, SessionId, Timestamp, read_fields};
use tracing::info;

use crate::booking::BookingStatus;
use crate::desk::Desk;
use crate::hold::Hold;
use crate::store::bookings as store;

/// The events that bookings follow.
#[derive(Debug)]
pub enum Tracked {
    /// A session began, or ended.
    Session(SessionId),
    /// A hold was taken in Redis.
    Hold(Hold),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfSession {
    session_id: SessionId,
}

impl Events for Tracked {
    fn read(event_type: &str, fields: Value) -> Option<Result<Self, Failure>> {
        match event_type {
            "SESSION_STARTED" | "SESSION_ENDED" => {
                Some(read_fields::<OfSession>(fields).map(|of| Self::Session(of.session_id)))
            }
            Hold::TYPE => Some(read_fields(fields).map(Self::Hold)),
            _ => None,
        }
    }
}

/// Brings the booking that a session belongs to, if it does, to what the session is now: the event is only a hint. Or
/// mirrors a hold in the database. Harmless whenever, and however often, it comes.
pub async fn track(desk: &Desk, event: Envelope<Tracked>, now: Timestamp) -> Result<(), Failure> {
    match event.payload {
        Tracked::Session(session) => {
            let Some(booking) = store::track(desk.outbox.database(), session, now).await? else {
                return Ok(());
            };
            info!(booking.id = %booking.id, status = booking.status.name(), "the booking follows its session");
            if booking.status == BookingStatus::Completed {
                desk.free(&booking).await;
            }
            Ok(())
        }
        Tracked::Hold(hold) => {
            // It was taken in the database, and somebody may have read a calendar into Redis before: not all who serve
            // learn at once that Redis is back.
            if store::mirror(desk.outbox.database(), &hold).await? {
                desk.holds.forget_calendar(hold.station_id).await;
            }
            Ok(())
        }
    }
}
