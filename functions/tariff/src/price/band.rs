//! Prices by the clock on the station's wall.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone as _, Utc,
};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use shared::Weekday;

/// An IANA time zone: `Europe/Berlin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone(Tz);

impl TimeZone {
    /// Without summer time.
    pub const UTC: Self = Self(Tz::UTC);

    /// What the clock on the wall shows; none beyond what a date holds.
    pub(super) fn wall_clock(self, millis: i64) -> Option<NaiveDateTime> {
        Some(DateTime::from_timestamp_millis(millis)?.with_timezone(&self.0).naive_local())
    }

    /// The one or two instants at which the clock shows this, or none; in milliseconds.
    fn instants(self, shown: NaiveDateTime) -> impl Iterator<Item = i64> {
        let (first, second) = match self.0.from_local_datetime(&shown) {
            MappedLocalTime::Single(at) => (Some(at), None),
            MappedLocalTime::Ambiguous(first, second) => (Some(first), Some(second)),
            MappedLocalTime::None => (None, None),
        };
        first.into_iter().chain(second).map(|at| at.timestamp_millis())
    }

    /// Seconds that the clock is ahead of UTC.
    fn offset(self, millis: i64) -> Option<i32> {
        let at: DateTime<Utc> = DateTime::from_timestamp_millis(millis)?;
        Some(self.0.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())
    }

    /// When within (`from`, `to`) the clock is put forward or back.
    fn clock_changes(self, from: i64, to: i64) -> Vec<i64> {
        const HALF_A_DAY: i64 = 12 * 60 * 60 * 1000;
        let mut changes = Vec::new();
        let mut before = from;
        while before < to {
            let after = before.saturating_add(HALF_A_DAY).min(to);
            if self.offset(before) != self.offset(after) {
                let (mut old, mut new) = (before, after);
                while new - old > 1 {
                    let middle = old + (new - old) / 2;
                    if self.offset(middle) == self.offset(before) { old = middle } else { new = middle }
                }
                changes.push(new);
            }
            before = after;
        }
        changes
    }
}

impl FromStr for TimeZone {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        name.parse().map(Self).map_err(|_| "must be an IANA time zone such as Europe/Berlin")
    }
}

impl TryFrom<String> for TimeZone {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> Self {
        zone.0.name().to_owned()
    }
}

/// A time of day to the minute: `22:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocalTime(NaiveTime);

impl FromStr for LocalTime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = text.len() == 5 && text.bytes().all(|c| c.is_ascii_digit() || c == b':');
        let time = NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| is_plain);
        time.map(Self).ok_or("must be a time of day such as 22:00")
    }
}

impl TryFrom<String> for LocalTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LocalTime> for String {
    fn from(time: LocalTime) -> Self {
        time.0.format("%H:%M").to_string()
    }
}

impl fmt::Debug for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%H:%M").fmt(f)
    }
}

/// Prices from one time of day to another, on certain days; they include VAT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Band {
    /// On which days it begins.
    pub days: Vec<Weekday>,
    /// From this time of day …
    pub from: LocalTime,
    /// … to before this one; not after `from` means the next day's.
    pub to: LocalTime,
    /// For each kilowatt-hour.
    #[serde(rename = "perKWh")]
    pub per_kwh: Decimal,
    /// For each minute.
    pub per_minute: Decimal,
}

impl Band {
    /// Whether it holds while the clock on the wall shows this.
    pub(super) fn holds(&self, shown: NaiveDateTime) -> bool {
        let (date, time) = (shown.date(), LocalTime(shown.time()));
        let begins_on = |date: NaiveDate| self.days.contains(&date.weekday().into());
        let began_the_day_before = || date.pred_opt().is_some_and(begins_on);
        if self.from < self.to {
            begins_on(date) && self.from <= time && time < self.to
        } else {
            (begins_on(date) && self.from <= time) || (began_the_day_before() && time < self.to)
        }
    }
}

/// All instants in (`start`, `end`) at which another band may hold than just before, in order; in milliseconds.
pub(super) fn edges(bands: &[Band], zone: TimeZone, start: i64, end: i64) -> Vec<i64> {
    let (Some(first), Some(last)) = (zone.wall_clock(start), zone.wall_clock(end)) else { return Vec::new() };
    // A clock put back shows the day before again, so the days around are looked at, too.
    let (first, last) = (first.date().pred_opt(), last.date().succ_opt());
    let (Some(first), Some(last)) = (first, last) else { return Vec::new() };

    let mut times: Vec<NaiveTime> = bands.iter().flat_map(|band| [band.from.0, band.to.0]).collect();
    times.push(NaiveTime::MIN);
    times.sort_unstable();
    times.dedup();
    let days = first.iter_days().take_while(|day| *day <= last);
    let mut edges: Vec<i64> =
        days.flat_map(|day| times.iter().flat_map(move |time| zone.instants(day.and_time(*time)))).collect();
    edges.extend(zone.clock_changes(start, end));
    edges.retain(|edge| start < *edge && *edge < end);
    edges.sort_unstable();
    edges.dedup();
    edges
}
