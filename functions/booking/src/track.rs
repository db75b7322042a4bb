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

/// Brings the bookings that a session serves, if any, to what the session is now: the event is only a hint. Or mirrors a
/// hold in the database. Harmless whenever, and however often, it comes.
pub async fn track(desk: &Desk, event: Envelope<Tracked>, now: Timestamp) -> Result<(), Failure> {
    match event.payload {
        Tracked::Session(session) => {
            for booking in store::track(desk.outbox.database(), session, now).await? {
                info!(booking.id = %booking.id, status = booking.status.name(), "the booking follows its session");
                if booking.status == BookingStatus::Completed {
                    desk.free(&booking).await;
                }
            }
        }
        Tracked::Hold(hold) => {
            store::mirror(desk.outbox.database(), &hold).await?;
            // Somebody may have read a calendar without it into Redis before: from the database, if the hold was taken
            // there and Redis is back, or if Redis has lost the hold since.
            desk.holds.forget_calendar(hold.station_id).await;
        }
    }
    Ok(())
}
