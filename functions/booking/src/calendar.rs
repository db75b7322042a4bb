//! What is taken of a station's time, as Redis keeps it for a minute and the database tells it.

use chrono::{DateTime, TimeDelta};
use serde::{Deserialize, Serialize};
use shared::{ConnectorId, Failure, Money, StationId, Timestamp, UserId};

use crate::hours::Hours;

/// How far ahead it goes: a hold begins within 30 days and lasts a day at most.
pub(crate) const AHEAD: TimeDelta = TimeDelta::days(32);
/// Who charges is taken to do so for this long …
const SESSION: TimeDelta = TimeDelta::minutes(60);
/// … and, if they do for longer, for this long from now.
const SESSION_GOES_ON: TimeDelta = TimeDelta::minutes(15);

/// Where Redis has it.
pub(crate) fn key(station: StationId) -> String {
    format!("station:{station}:availability")
}

/// A station's time, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calendar {
    /// When it is open.
    pub hours: Hours,
    /// What confirming a booking costs; none if nothing.
    pub booking_fee: Option<Money>,
    /// By number, then by id.
    pub connectors: Vec<ConnectorTime>,
}

/// One connector's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorTime {
    /// Which.
    pub id: ConnectorId,
    /// At its charger.
    pub number: i32,
    /// As it was last reported.
    pub status: String,
    /// Since when somebody charges, in minutes of Unix time.
    pub session_since: Option<i64>,
    /// Bookings that are or will be, disjoint, in order.
    pub booked: Vec<Minutes>,
    /// Holds that the database knows of, lapsed or not.
    pub held: Vec<Held>,
}

/// [from, to) in minutes of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Minutes(pub i64, pub i64);

/// A hold as a calendar has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// In minutes of Unix time.
    pub from: i64,
    /// In minutes of Unix time.
    pub to: i64,
    /// In milliseconds of Unix time: from when on it keeps nobody away.
    pub lapses: i64,
    /// Whose; none of what a booking just made left.
    pub user: Option<UserId>,
}

impl Minutes {
    /// Those that a time touches, even in part.
    pub fn touched(from: Timestamp, to: Timestamp) -> Self {
        Self(from.timestamp().div_euclid(60), (to.timestamp() + 59).div_euclid(60))
    }

    /// Whether they share one.
    pub fn overlaps(self, other: Self) -> bool {
        self.0 < other.1 && other.0 < self.1
    }
}

/// A full minute.
pub(crate) fn moment(minute: i64) -> Timestamp {
    DateTime::from_timestamp(minute * 60, 0).unwrap_or_default()
}

impl Held {
    /// Whether it keeps others away.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.lapses > now.timestamp_millis()
    }

    fn minutes(&self) -> Minutes {
        Minutes(self.from, self.to)
    }
}

impl ConnectorTime {
    /// Whether it can be counted on: it is neither broken nor out of service, and somebody has heard of it.
    pub fn is_in_service(&self) -> bool {
        !matches!(self.status.as_str(), "FAULTED" | "UNAVAILABLE" | "UNKNOWN")
    }

    /// All that is taken of its time, with `held` beside what it knows itself; disjoint, in order.
    pub(crate) fn taken(&self, held: &[Held], now: Timestamp) -> Vec<Minutes> {
        let live = self.held.iter().chain(held).filter(|held| held.is_live(now)).map(Held::minutes);
        let mut taken: Vec<_> = self.booked.iter().copied().chain(live).chain(self.session(now)).collect();
        taken.sort_unstable();
        taken.dedup_by(|next, before| {
            let joins = next.0 <= before.1;
            if joins {
                before.1 = before.1.max(next.1);
            }
            joins
        });
        taken
    }

    fn session(&self, now: Timestamp) -> Option<Minutes> {
        let since = moment(self.session_since?);
        Some(Minutes::touched(since, (since + SESSION).max(now + SESSION_GOES_ON)))
    }
}

impl Calendar {
    /// The connector, if `user` may hold it from `from` to `to`, for all that the calendar knows. The user's own holds
    /// are no obstacle: who asks again gets the same.
    pub(crate) fn bookable(
        &self,
        connector: ConnectorId,
        from: Timestamp,
        to: Timestamp,
        user: UserId,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let connector = self.connectors.iter().find(|known| known.id == connector);
        let connector = connector.ok_or(Failure::NotFound("connector"))?;
        if !connector.is_in_service() {
            return Err(Failure::conflict("CONNECTOR_UNAVAILABLE", "the connector is out of service"));
        }
        if !self.hours.are_open(from, to) {
            return Err(Failure::conflict("CLOSED", "the station is not open then"));
        }
        let wanted = Minutes::touched(from, to);
        let is_others = |held: &&Held| held.is_live(now) && held.user != Some(user);
        let mut taken = connector.booked.iter().copied().chain(connector.session(now));
        let is_held = connector.held.iter().filter(is_others).any(|held| held.minutes().overlaps(wanted));
        if is_held || taken.any(|taken| taken.overlaps(wanted)) {
            return Err(slot_taken());
        }
        Ok(())
    }
}

/// Somebody else has it.
pub(crate) fn slot_taken() -> Failure {
    Failure::conflict("SLOT_TAKEN", "the connector is taken then, choose another slot")
}
