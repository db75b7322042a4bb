//! When a station is open, by the clock on its wall.
//!
//! A period of a day opens at the first moment at which the station's clock shows `from` of that day or later, and closes
//! at the first at which it shows `to` or later. So a time that is skipped when the clock is put forward is the moment of
//! the change, and a time that comes twice when it is put back is meant the first time. Monday 00:00 to 24:00 lasts 23,
//! 24 or 25 hours.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone as _,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::{Timestamp, Weekday};

/// No zone is further from UTC, and no clock is put forward by more.
const FAR: TimeDelta = TimeDelta::hours(40);

/// An IANA time zone: `Europe/Berlin`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

impl Zone {
    /// Without summer time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The date on the station's calendar.
    pub fn date(self, at: Timestamp) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// When that day begins, which is not always at midnight.
    pub fn day_start(self, date: NaiveDate) -> Timestamp {
        self.first(date.and_time(chrono::NaiveTime::MIN))
    }

    /// The first moment at which the clock shows `shown` or later.
    fn first(self, shown: NaiveDateTime) -> Timestamp {
        match self.0.from_local_datetime(&shown) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.to_utc(),
            MappedLocalTime::None => self.change_around(shown.and_utc()),
        }
    }

    /// The one change of the clock near `around`, to the second.
    fn change_around(self, around: Timestamp) -> Timestamp {
        let (mut before, mut after) = ((around - FAR).timestamp(), (around + FAR).timestamp());
        let old = self.offset(before);
        while after - before > 1 {
            let middle = before.midpoint(after);
            if self.offset(middle) == old { before = middle } else { after = middle }
        }
        DateTime::from_timestamp(after, 0).unwrap_or(around)
    }

    /// Seconds that the clock is ahead of UTC.
    fn offset(self, at: i64) -> Option<i32> {
        let at = DateTime::from_timestamp(at, 0)?.naive_utc();
        Some(self.0.offset_from_utc_datetime(&at).fix().local_minus_utc())
    }
}

impl FromStr for Zone {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        name.parse().map(Self).map_err(|_| "must be an IANA time zone such as Europe/Berlin")
    }
}

impl TryFrom<String> for Zone {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0.name().to_owned()
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// A time of day to the minute, `08:00`; `24:00` is the end of the day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayTime(u16);

impl DayTime {
    /// The minutes since midnight, at most 1440.
    pub fn from_minutes(minutes: u16) -> Option<Self> {
        (minutes <= 24 * 60).then_some(Self(minutes))
    }

    /// On that day.
    fn on(self, date: NaiveDate) -> NaiveDateTime {
        date.and_time(chrono::NaiveTime::MIN) + TimeDelta::minutes(i64::from(self.0))
    }
}

impl TryFrom<String> for DayTime {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let read = || -> Option<Self> {
            let (hours, minutes) = text.split_once(':')?;
            let two = |digits: &str| -> Option<u16> {
                let is_plain = digits.len() == 2 && digits.bytes().all(|c| c.is_ascii_digit());
                if is_plain { digits.parse().ok() } else { None }
            };
            let (hours, minutes) = (two(hours)?, two(minutes).filter(|minutes| *minutes < 60)?);
            Self::from_minutes(hours * 60 + minutes)
        };
        read().ok_or("must be a time of day such as 08:00, at most 24:00")
    }
}

impl From<DayTime> for String {
    fn from(DayTime(minutes): DayTime) -> Self {
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl fmt::Debug for DayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

/// Open from one time of day to a later one, on certain days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpeningPeriod {
    /// At least one, each once.
    pub days: Vec<Weekday>,
    /// Before `to`.
    pub from: DayTime,
    /// Not open any more.
    pub to: DayTime,
}

/// A station's week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hours {
    /// In which the periods are meant.
    pub time_zone: Zone,
    /// Not overlapping; none: always open, which counts as a period from 00:00 to 24:00 of every day.
    pub periods: Option<Vec<OpeningPeriod>>,
}

/// One time at which a station is open: one period of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    /// From this moment …
    pub start: Timestamp,
    /// … to this later one.
    pub end: Timestamp,
}

impl Hours {
    /// The openings that overlap [`from`, `to`), whole, in order.
    pub fn openings(&self, from: Timestamp, to: Timestamp) -> Vec<Opening> {
        let (first, last) = (self.time_zone.date(from), self.time_zone.date(to));
        // A clock put back may show a date again.
        let (first, last) = (first.pred_opt().unwrap_or(first), last.succ_opt().unwrap_or(last));
        let mut openings = Vec::new();
        for date in first.iter_days().take_while(|date| *date <= last) {
            let mut open = |from: DayTime, to: DayTime| {
                let (start, end) = (self.time_zone.first(from.on(date)), self.time_zone.first(to.on(date)));
                openings.push(Opening { start, end });
            };
            match &self.periods {
                None => open(DayTime(0), DayTime(24 * 60)),
                Some(periods) => {
                    let today = date.weekday().into();
                    periods.iter().filter(|p| p.days.contains(&today)).for_each(|p| open(p.from, p.to));
                }
            }
        }
        // What lies in hours that the clock skips is no opening.
        openings.retain(|opening| opening.start < opening.end && opening.start < to && from < opening.end);
        openings.sort_unstable();
        openings
    }

    /// Whether the station is open from `start` to `end` without a break: openings that touch are no break.
    pub fn are_open(&self, start: Timestamp, end: Timestamp) -> bool {
        let mut open_to = start;
        for opening in self.openings(start, end) {
            if opening.start > open_to {
                return false;
            }
            open_to = open_to.max(opening.end);
        }
        open_to >= end
    }

    /// What is wrong with them, if anything: where, below the input's `periods`, and what.
    pub(crate) fn fault(&self) -> Option<(String, &'static str)> {
        let mut taken: Vec<(Weekday, DayTime, DayTime)> = Vec::new();
        for (index, period) in self.periods.iter().flatten().enumerate() {
            let at = |what: &str| format!("periods[{index}].{what}");
            let days: BTreeSet<_> = period.days.iter().collect();
            if days.is_empty() || days.len() < period.days.len() {
                return Some((at("days"), "must name at least one day and none twice"));
            }
            if period.from >= period.to {
                return Some((at("to"), "must be after from; what spans midnight is two periods"));
            }
            for day in &period.days {
                let overlaps = |(other, from, to): &(Weekday, DayTime, DayTime)| {
                    other == day && period.from < *to && *from < period.to
                };
                if taken.iter().any(overlaps) {
                    return Some((at("from"), "must not overlap an earlier period"));
                }
                taken.push((*day, period.from, period.to));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn hours(zone: &str, from: &str, to: &str) -> Hours {
        let days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
        let periods = json!([{ "days": days, "from": from, "to": to }]);
        serde_json::from_value(json!({ "timeZone": zone, "periods": periods })).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The openings that begin on a day, as RFC 3339 in UTC.
    fn openings(hours: &Hours, day: &str) -> Vec<(String, String)> {
        let day: NaiveDate = day.parse().unwrap();
        let (from, to) = (hours.time_zone.day_start(day), hours.time_zone.day_start(day.succ_opt().unwrap()));
        let told = |at: Timestamp| at.format("%d %H:%M").to_string();
        hours.openings(from, to).iter().map(|o| (told(o.start), told(o.end))).collect()
    }

    fn pairs(told: &[(&str, &str)]) -> Vec<(String, String)> {
        told.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn a_day_has_23_24_or_25_hours() {
        let berlin = Hours { time_zone: "Europe/Berlin".parse().unwrap(), periods: None };
        assert_eq!(openings(&berlin, "2026-03-29"), pairs(&[("28 23:00", "29 22:00")]));
        assert_eq!(openings(&berlin, "2026-06-01"), pairs(&[("31 22:00", "01 22:00")]));
        assert_eq!(openings(&berlin, "2026-10-25"), pairs(&[("24 22:00", "25 23:00")]));
    }

    #[test]
    fn a_skipped_time_is_the_moment_of_the_change() {
        // 02:00 to 03:00 is skipped on 29 March; summer begins at 01:00 UTC.
        assert_eq!(
            openings(&hours("Europe/Berlin", "02:30", "06:00"), "2026-03-29"),
            pairs(&[("29 01:00", "29 04:00")])
        );
        assert_eq!(
            openings(&hours("Europe/Berlin", "01:00", "02:15"), "2026-03-29"),
            pairs(&[("29 00:00", "29 01:00")])
        );
        assert_eq!(openings(&hours("Europe/Berlin", "02:10", "02:50"), "2026-03-29"), []);
    }

    #[test]
    fn a_time_that_comes_twice_is_meant_the_first_time() {
        // 02:00 to 03:00 comes twice on 25 October; summer ends at 01:00 UTC.
        assert_eq!(
            openings(&hours("Europe/Berlin", "02:30", "06:00"), "2026-10-25"),
            pairs(&[("25 00:30", "25 05:00")])
        );
        assert_eq!(
            openings(&hours("Europe/Berlin", "01:00", "02:30"), "2026-10-25"),
            pairs(&[("24 23:00", "25 00:30")])
        );
    }

    #[test]
    fn a_day_begins_when_its_clock_first_shows_it() {
        // Cairo skips midnight: 24 April 2026 begins at 01:00.
        let cairo: Zone = "Africa/Cairo".parse().unwrap();
        assert_eq!(cairo.day_start("2026-04-24".parse().unwrap()), at("2026-04-23T22:00:00Z"));
    }

    #[test]
    fn openings_that_touch_are_one_time_to_hold() {
        let mut night = hours("Europe/Berlin", "18:00", "24:00");
        let morning = hours("Europe/Berlin", "00:00", "02:00");
        night.periods.as_mut().unwrap().extend(morning.periods.unwrap());
        assert!(night.are_open(at("2026-06-01T20:00:00Z"), at("2026-06-02T00:00:00Z")));
        assert!(!night.are_open(at("2026-06-01T20:00:00Z"), at("2026-06-02T00:01:00Z")));
        assert!(!night.are_open(at("2026-06-01T15:59:00Z"), at("2026-06-01T20:00:00Z")));
        assert!(!night.are_open(at("2026-06-01T10:00:00Z"), at("2026-06-01T11:00:00Z")));
        let never = Hours { periods: Some(vec![]), ..night };
        assert!(!never.are_open(at("2026-06-01T20:00:00Z"), at("2026-06-01T20:15:00Z")));
    }

    #[test]
    fn times_of_day_are_read_to_the_letter() {
        let read = |text: &str| DayTime::try_from(text.to_owned()).map(String::from);
        assert_eq!(read("24:00"), Ok("24:00".into()));
        assert_eq!(read("08:05"), Ok("08:05".into()));
        for text in ["24:01", "8:00", "08:60", "+8:00", "08:0", "08:000", "", "٠٨:٠٠"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn periods_are_checked() {
        let fault = |periods: serde_json::Value| {
            let hours: Hours =
                serde_json::from_value(json!({ "timeZone": "UTC", "periods": periods })).unwrap();
            hours.fault().map(|(field, _)| field)
        };
        let period = |from: &str, to: &str| json!({ "days": ["MONDAY"], "from": from, "to": to });
        assert_eq!(fault(json!([period("08:00", "12:00"), period("12:00", "24:00")])), None);
        assert_eq!(fault(json!([period("08:00", "08:00")])), Some("periods[0].to".into()));
        let overlapping = json!([period("08:00", "12:00"), period("11:59", "13:00")]);
        assert_eq!(fault(overlapping), Some("periods[1].from".into()));
        let twice = json!([{ "days": ["MONDAY", "MONDAY"], "from": "08:00", "to": "09:00" }]);
        assert_eq!(fault(twice), Some("periods[0].days".into()));
        assert_eq!(
            fault(json!([{ "days": [], "from": "08:00", "to": "09:00" }])),
            Some("periods[0].days".into())
        );
    }
}
