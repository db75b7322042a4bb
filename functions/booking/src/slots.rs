//! Free slots: pieces of one length of a station's opening time, in which nobody has the connector.
//!
//! Slots lie on a grid of their length that begins with each opening and counts elapsed time: an opening of 25 hours has
//! 25 slots of an hour, one of 23 hours has 23. A slot lies within one opening, so those of a connector never overlap; who
//! wants to charge over midnight holds the time they want.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use shared::{ConnectorId, Timestamp};

use crate::calendar::{Calendar, Held, Minutes};

/// A connector's free time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Whose.
    pub connector_id: ConnectorId,
    /// At its charger.
    pub connector_number: String,
    /// From this full minute …
    pub start: Timestamp,
    /// … to this one.
    pub end: Timestamp,
    /// How long.
    pub duration_minutes: i64,
}

/// How long a slot shall be: 15 to 1440 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct SlotLength(i64);

impl SlotLength {
    /// An hour.
    pub const HOUR: Self = Self(60);

    /// Itself.
    pub fn minutes(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for SlotLength {
    type Error = &'static str;

    fn try_from(minutes: i64) -> Result<Self, Self::Error> {
        if (15..=1440).contains(&minutes) { Ok(Self(minutes)) } else { Err("must be between 15 and 1440") }
    }
}

impl From<SlotLength> for i64 {
    fn from(length: SlotLength) -> Self {
        length.0
    }
}

/// Which slots are asked for: those that begin in [`from`, `to`), after `now`, and not after `last_start`.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// From this moment on.
    pub from: Timestamp,
    /// Before this one.
    pub to: Timestamp,
    /// How long each is.
    pub length: SlotLength,
    /// When it is asked.
    pub now: Timestamp,
    /// The latest start that can be held.
    pub last_start: Timestamp,
}

/// The free slots, by start, then by the connector's number; `held` are live holds beside those in the calendar.
pub fn free_slots(calendar: &Calendar, held: &HashMap<ConnectorId, Vec<Held>>, wanted: Wanted) -> Vec<Slot> {
    let length = TimeDelta::minutes(wanted.length.0);
    let mut connectors: Vec<_> = calendar.connectors.iter().filter(|c| c.is_in_service()).collect();
    connectors.sort_unstable_by_key(|connector| (connector.number, connector.id));
    let taken: Vec<Vec<Minutes>> =
        connectors.iter().map(|c| c.taken(held.get(&c.id).map_or(&[], Vec::as_slice), wanted.now)).collect();
    let mut slots = Vec::new();
    for opening in calendar.hours.openings(wanted.from, wanted.to) {
        let starts = std::iter::successors(Some(opening.start), |start| Some(*start + length));
        for start in starts.take_while(|start| *start + length <= opening.end) {
            let can_be_held = start > wanted.now && start <= wanted.last_start;
            if !can_be_held || start < wanted.from || start >= wanted.to {
                continue;
            }
            let end = start + length;
            let minutes = Minutes::touched(start, end);
            for (connector, taken) in connectors.iter().zip(&taken) {
                let first = taken.partition_point(|taken| taken.1 <= minutes.0);
                if taken.get(first).is_some_and(|taken| taken.overlaps(minutes)) {
                    continue;
                }
                slots.push(Slot {
                    connector_id: connector.id,
                    connector_number: connector.number.to_string(),
                    start,
                    end,
                    duration_minutes: wanted.length.0,
                });
            }
        }
    }
    slots
}
