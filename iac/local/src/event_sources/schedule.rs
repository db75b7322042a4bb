//! EventBridge's schedule expressions: `rate(…)`, `cron(…)` with its six fields, and `at(…)`.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// When something is due.
#[derive(Debug, Clone)]
pub(super) enum Schedule {
    Rate(Duration),
    Cron { pattern: Box<Cron>, zone: Tz },
    At(DateTime<Utc>),
}

impl Schedule {
    /// `zone` is an IANA name; none is UTC.
    pub(super) fn parse(expression: &str, zone: Option<&str>) -> Result<Self, String> {
        let zone: Tz = zone.unwrap_or("UTC").parse().map_err(|error| format!("{zone:?}: {error}"))?;
        let (kind, rest) = expression.split_once('(').unwrap_or((expression, ""));
        let inner = rest.strip_suffix(')').map(str::trim);
        let schedule = match (kind, inner) {
            ("rate", Some(rate)) => rate_of(rate).map(Self::Rate),
            ("cron", Some(fields)) => {
                cron_of(fields).map(|pattern| Self::Cron { pattern: Box::new(pattern), zone })
            }
            ("at", Some(time)) => at(time, zone).map(Self::At),
            _ => Err("it is none of rate(…), cron(…) and at(…)".to_owned()),
        };
        schedule.map_err(|problem| format!("{expression}: {problem}"))
    }

    /// The first time after `now`; a rate counts from `start`. None when there is no further one.
    pub(super) fn next(&self, start: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Rate(period) => {
                let period = TimeDelta::from_std(*period).ok()?;
                let passed = (now - start).num_milliseconds().max(0) / period.num_milliseconds();
                start.checked_add_signed(period.checked_mul(i32::try_from(passed + 1).ok()?)?)
            }
            Self::Cron { pattern, zone } => {
                let next = pattern.find_next_occurrence(&now.with_timezone(zone), false).ok()?;
                Some(next.with_timezone(&Utc))
            }
            Self::At(time) => (*time > now).then_some(*time),
        }
    }
}

fn rate_of(rate: &str) -> Result<Duration, String> {
    let (value, unit) = rate.split_once(' ').ok_or("a rate is a value and a unit")?;
    let value: u64 = value.parse().ok().filter(|value| *value > 0).ok_or("the value is a positive number")?;
    let minutes = match (unit.trim(), value) {
        ("minute", 1) | ("minutes", 2..) => Some(value),
        ("hour", 1) | ("hours", 2..) => value.checked_mul(60),
        ("day", 1) | ("days", 2..) => value.checked_mul(24 * 60),
        _ => {
            return Err(
                "the unit is minute, hour or day for 1, and minutes, hours or days for more".to_owned()
            );
        }
    };
    // Thirty years are more than any schedule is for, and keep the arithmetic within its types.
    let minutes = minutes.filter(|minutes| *minutes < 16_000_000).ok_or("the value is too large")?;
    Ok(Duration::from_secs(minutes * 60))
}

fn cron_of(fields: &str) -> Result<Cron, String> {
    let upper = fields.to_ascii_uppercase();
    let fields: Vec<_> = upper.split_whitespace().collect();
    let [minutes, hours, day_of_month, month, day_of_week, year] = fields[..] else {
        return Err(format!("cron has six fields, not {}", fields.len()));
    };
    if (day_of_month == "?") == (day_of_week == "?") {
        return Err("exactly one of day-of-month and day-of-week must be ?".to_owned());
    }
    let known = |c: char| c.is_ascii_alphanumeric() || ",-*/?#".contains(c);
    if !fields.iter().all(|field| field.chars().all(known)) {
        return Err("a character that no field takes".to_owned());
    }
    if fields.iter().any(|field| *field != "?" && field.contains('?')) {
        return Err("? stands alone".to_owned());
    }
    // Here L is the last day of the week, Saturday.
    let day_of_week = if day_of_week == "L" { "7" } else { day_of_week };
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        // Sunday is 1, and 0/15 is every fifteen from nought.
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .dom_and_dow(true)
        .build();
    let pattern = format!("0 {minutes} {hours} {day_of_month} {month} {day_of_week} {year}");
    let cron = parser.parse(&pattern).map_err(|error| error.to_string())?;
    // The parser lets a day 8 through as one that never comes.
    if day_of_week != "?" && day_of_week != "*" && cron.pattern.days_of_week.values().contains(&7) {
        return Err("day-of-week is 1 to 7".to_owned());
    }
    Ok(cron)
}

fn at(time: &str, zone: Tz) -> Result<DateTime<Utc>, String> {
    let time = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S").map_err(|error| error.to_string())?;
    let local = zone.from_local_datetime(&time).earliest().ok_or("that time does not exist in its zone")?;
    Ok(local.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use chrono::{Datelike, Timelike, Weekday};
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn next(expression: &str, zone: Option<&str>, now: &str) -> Option<String> {
        let schedule = Schedule::parse(expression, zone).unwrap();
        schedule.next(time(now), time(now)).map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    #[test]
    fn next_times_are_those_aws_documents() {
        // 2026-01-01 is a Thursday.
        let now = "2026-01-01T10:07:30Z";
        for (expression, zone, expected) in [
            ("rate(1 minute)", None, "2026-01-01T10:08:30Z"),
            ("rate(12 hours)", None, "2026-01-01T22:07:30Z"),
            ("rate(2 days)", None, "2026-01-03T10:07:30Z"),
            ("cron(0 10 * * ? *)", None, "2026-01-02T10:00:00Z"),
            ("cron(15 12 * * ? *)", None, "2026-01-01T12:15:00Z"),
            ("cron(0 18 ? * MON-FRI *)", None, "2026-01-01T18:00:00Z"),
            ("cron(0 8 1 * ? *)", None, "2026-02-01T08:00:00Z"),
            ("cron(0/15 * * * ? *)", None, "2026-01-01T10:15:00Z"),
            ("cron(0/10 * ? * SAT,SUN *)", None, "2026-01-03T00:00:00Z"),
            ("cron(0/5 8-17 ? * 2-6 *)", None, "2026-01-01T10:10:00Z"),
            ("cron(0 9 ? * 1 *)", None, "2026-01-04T09:00:00Z"),
            ("cron(0 9 ? * L *)", None, "2026-01-03T09:00:00Z"),
            ("cron(0 9 ? * 6L *)", None, "2026-01-30T09:00:00Z"),
            ("cron(0 9 ? * 3#2 *)", None, "2026-01-13T09:00:00Z"),
            ("cron(0 9 L * ? *)", None, "2026-01-31T09:00:00Z"),
            ("cron(0 9 3W * ? *)", None, "2026-01-02T09:00:00Z"),
            ("cron(30 10 ? FEB WED 2027)", None, "2027-02-03T10:30:00Z"),
            ("cron(0 9 * * ? *)", Some("Europe/Berlin"), "2026-01-02T08:00:00Z"),
            ("at(2026-07-01T09:00:00)", Some("Europe/Berlin"), "2026-07-01T07:00:00Z"),
        ] {
            assert_eq!(next(expression, zone, now).as_deref(), Some(expected), "{expression}");
        }
        assert_eq!(next("at(2025-12-31T23:59:59)", None, now), None);
        assert_eq!(next("cron(0 0 1 1 ? 2020)", None, now), None);
    }

    #[test]
    fn summer_time_moves_the_instant_not_the_clock() {
        let berlin = Some("Europe/Berlin");
        assert_eq!(
            next("cron(0 9 * * ? *)", berlin, "2026-03-28T12:00:00Z").as_deref(),
            Some("2026-03-29T07:00:00Z")
        );
    }

    #[test]
    fn refuses_what_aws_refuses() {
        for expression in [
            "5 minutes",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(5 seconds)",
            "rate(99999999999999999999 days)",
            "rate(999999999999 days)",
            "cron(* * * * *)",
            "cron(0 10 * * * *)",
            "cron(0 10 ? * ? *)",
            "cron(0 10 1 * MON *)",
            "cron(60 10 * * ? *)",
            "cron(0 24 * * ? *)",
            "cron(0 10 32 * ? *)",
            "cron(0 10 ? * 8 *)",
            "cron(0 10 ? * 0 *)",
            "cron(? 10 1 * ? *)",
            "cron(0 10 +1 * ? *)",
            "cron(0 10 * * ? *",
            "at(2026-01-01)",
        ] {
            assert!(Schedule::parse(expression, None).is_err(), "{expression}");
        }
        assert!(Schedule::parse("rate(1 day)", Some("Mars/Olympus")).is_err());
    }

    proptest! {
        #[test]
        fn cron_fires_only_when_every_field_matches(
            minute in 0u32..60, hour in 0u32..24, weekday in 1u32..=7, start in 0i64..4_000_000_000,
        ) {
            let schedule = Schedule::parse(&format!("cron({minute} {hour} ? * {weekday} *)"), None).unwrap();
            let now = DateTime::from_timestamp(start, 0).unwrap();
            let next = schedule.next(now, now).unwrap();
            prop_assert!(next > now && next - now <= TimeDelta::days(7));
            prop_assert_eq!((next.minute(), next.hour(), next.second()), (minute, hour, 0));
            prop_assert_eq!(next.weekday().number_from_sunday(), weekday);
            prop_assert_eq!(Weekday::Sun.number_from_sunday(), 1);
        }

        #[test]
        fn rate_keeps_to_its_grid(minutes in 2u64..100_000, passed in 0i64..1_000_000_000) {
            let schedule = Schedule::parse(&format!("rate({minutes} minutes)"), None).unwrap();
            let start = time("2026-01-01T00:00:00Z");
            let now = start + TimeDelta::seconds(passed);
            let next = schedule.next(start, now).unwrap();
            let period = i64::try_from(minutes).unwrap() * 60;
            prop_assert!(next > now && (next - now).num_seconds() <= period);
            prop_assert_eq!((next - start).num_seconds() % period, 0);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", fields in "[0-9*?/,LW#A-Z -]{0,30}") {
            let _ = Schedule::parse(&text, None);
            let _ = Schedule::parse(&format!("cron({fields})"), None);
        }
    }
}
