//! When a station's connectors are free.

use chrono::{Datelike, NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use shared::{Failure, Money, StationId, Timestamp};

use crate::calendar_book::Calendars;
use crate::hold_slot::LAST_START;
use crate::hours::Zone;
use crate::slots::{Slot, SlotLength, Wanted, free_slots};

/// A week, of which one day may have 25 hours.
const LONGEST: TimeDelta = TimeDelta::hours(7 * 24 + 1);
/// About 2 MB: AppSync and Lambda have limits not far above.
const MOST_SLOTS: usize = 10_000;

/// What is asked: the arguments of `Query.stationAvailability`, or a route's path and query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskAvailability {
    #[serde(alias = "id", deserialize_with = "rest::parsed")]
    station_id: StationId,
    start_date: Option<Edge>,
    end_date: Option<Edge>,
    slot_duration_minutes: Option<rest::Number<SlotLength>>,
}

/// A moment, or a day of the station's calendar; of the years 2000 to 2099.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
enum Edge {
    Moment(Timestamp),
    Day(NaiveDate),
}

impl TryFrom<String> for Edge {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let day = || (text.len() == 10).then(|| text.parse().ok()).flatten().map(Self::Day);
        let edge = day().or_else(|| text.parse().ok().map(Self::Moment));
        let year = |edge: &Self| match edge {
            Self::Moment(moment) => moment.year(),
            Self::Day(day) => day.year(),
        };
        edge.filter(|edge| (2000..2100).contains(&year(edge))).ok_or(
            "must be a date such as 2024-01-01 or a moment such as 2024-01-01T10:00:00Z, from 2000 to 2099",
        )
    }
}

/// GraphQL `StationAvailability`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// Whose.
    pub station_id: StationId,
    /// In which its days are meant.
    pub time_zone: Zone,
    /// By start, then by connector.
    pub available_slots: Vec<Slot>,
    /// How many there are.
    pub total: usize,
    /// What confirming a booking costs; none if nothing.
    pub booking_fee: Option<Money>,
}

/// What `GET /v1/stations/{id}/availability` tells of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestAvailability {
    station_id: StationId,
    available_slots: Vec<Slot>,
    total: usize,
}

impl From<Availability> for RestAvailability {
    fn from(told: Availability) -> Self {
        Self { station_id: told.station_id, available_slots: told.available_slots, total: told.total }
    }
}

/// The slots that can be held and begin in the time asked for.
pub async fn station_availability(
    calendars: &Calendars,
    asked: AskAvailability,
    now: Timestamp,
) -> Result<Availability, Failure> {
    let calendar = calendars.of(asked.station_id, now).await?;
    let time_zone = calendar.hours.time_zone;
    let (from, to) = range(&asked, time_zone, now)?;
    let length = asked.slot_duration_minutes.map_or(SlotLength::HOUR, |rest::Number(length)| length);
    let wanted = Wanted { from, to, length, now, last_start: now + LAST_START };
    let connectors = calendar.connectors.iter().filter(|c| c.is_in_service()).map(|c| c.id);
    // What is held is in the calendar as well, but perhaps not the latest.
    let held = calendars.holds().of_connectors(connectors).await;
    let available_slots = free_slots(&calendar, &held.unwrap_or_default(), wanted);
    if available_slots.len() > MOST_SLOTS {
        let message = format!("asks for more than {MOST_SLOTS} slots: ask for fewer days or longer slots");
        return Err(Failure::invalid("endDate", message));
    }
    Ok(Availability {
        station_id: asked.station_id,
        time_zone,
        total: available_slots.len(),
        available_slots,
        booking_fee: calendar.booking_fee,
    })
}

/// From now, and for a day, unless told. The day that is told as the end is part of it.
fn range(asked: &AskAvailability, zone: Zone, now: Timestamp) -> Result<(Timestamp, Timestamp), Failure> {
    let from = match asked.start_date {
        None => now,
        Some(Edge::Moment(moment)) => moment,
        Some(Edge::Day(day)) => zone.day_start(day),
    };
    let to = match asked.end_date {
        None => from + TimeDelta::days(1),
        Some(Edge::Moment(moment)) => moment,
        Some(Edge::Day(day)) => zone.day_start(day.succ_opt().unwrap_or(day)),
    };
    if to <= from {
        return Err(Failure::invalid("endDate", "must be after startDate, which is now unless told"));
    }
    if to - from > LONGEST {
        return Err(Failure::invalid("endDate", "must be at most 7 days after startDate"));
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn asked(start: Option<&str>, end: Option<&str>) -> Result<(Timestamp, Timestamp), Failure> {
        let now = "2026-10-20T10:30:00Z".parse().unwrap();
        let asked = json!({ "id": StationId::new(), "startDate": start, "endDate": end });
        range(&shared::read_fields(asked)?, "Europe/Berlin".parse().unwrap(), now)
    }

    fn told(start: Option<&str>, end: Option<&str>) -> String {
        match asked(start, end) {
            Ok((from, to)) => format!("{} {}", from.format("%m-%d %H:%M"), to.format("%m-%d %H:%M")),
            Err(failure) => failure.to_string().split(':').next().unwrap().to_owned(),
        }
    }

    #[test]
    fn a_range_is_of_moments_or_of_days_where_the_station_is() {
        assert_eq!(told(None, None), "10-20 10:30 10-21 10:30");
        assert_eq!(told(Some("2026-10-21"), Some("2026-10-21")), "10-20 22:00 10-21 22:00");
        // Seven days, one of them of 25 hours.
        assert_eq!(told(Some("2026-10-21"), Some("2026-10-27")), "10-20 22:00 10-27 23:00");
        assert_eq!(told(None, Some("2026-10-20")), "10-20 10:30 10-20 22:00");
        assert_eq!(told(Some("2026-10-21T00:00:00+02:00"), None), "10-20 22:00 10-21 22:00");
        assert_eq!(told(Some("2026-10-21"), Some("2026-10-28")), "endDate");
        assert_eq!(told(Some("2026-10-21"), Some("2026-10-20")), "endDate");
        assert_eq!(told(None, Some("2026-10-19")), "endDate");
        for text in ["tomorrow", "", "2026-13-01", "0001-01-01", "+262142-01-01", "2026-10-21T00:00:00"] {
            assert_eq!(told(Some(text), None), "startDate", "{text}");
        }
    }

    #[test]
    fn a_slot_has_15_to_1440_minutes() {
        let read = |minutes: Value| {
            let asked = json!({ "stationId": StationId::new(), "slotDurationMinutes": minutes });
            shared::read_fields::<AskAvailability>(asked).is_ok()
        };
        assert!([json!(15), json!(1440), json!("90"), Value::Null].into_iter().all(read));
        assert!(![json!(14), json!(1441), json!("x"), json!(15.5), json!(-60)].into_iter().any(read));
    }
}
