//! Free slots against a model that knows nothing but a clock: it walks minute by minute through UTC, looks at the
//! station's wall, and asks of each minute whose it is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::LazyLock;

use booking::{
    Calendar, ConnectorTime, DayTime, Held, Hours, Minutes, OpeningPeriod, Slot, SlotLength, Wanted, Zone,
    free_slots,
};
use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike};
use chrono_tz::Tz;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::{ConnectorId, Timestamp, Weekday};
use uuid::Uuid;

/// Summer time of an hour and of half an hour, at midnight, north and south; none; and odd offsets.
const ZONES: &[&str] = &[
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Havana",
    "Pacific/Chatham",
    "America/St_Johns",
    "America/Santiago",
    "Asia/Beirut",
    "Atlantic/Azores",
    "Asia/Kathmandu",
    "UTC",
];

/// The minutes of Unix time at which each zone's clock is put forward or back in 2026 and 2027.
static CHANGES: LazyLock<Vec<Vec<i64>>> = LazyLock::new(|| {
    let first = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().timestamp() / 60;
    let changes = |zone: &&str| {
        let zone: Tz = zone.parse().unwrap();
        let ahead = |minute: i64| wall(zone, minute) - at(minute).naive_utc();
        let quarters = (0..2 * 365 * 96).map(|quarter| first + quarter * 15);
        quarters.filter(|minute| ahead(*minute) != ahead(minute - 15)).collect()
    };
    ZONES.iter().map(changes).collect()
});

fn at(minute: i64) -> Timestamp {
    DateTime::from_timestamp(minute * 60, 0).unwrap()
}

fn wall(zone: Tz, minute: i64) -> NaiveDateTime {
    at(minute).with_timezone(&zone).naive_local()
}

fn day_time() -> impl Strategy<Value = u16> {
    prop_oneof![3 => (0u16..=96).prop_map(|quarter| quarter * 15), 1 => 0u16..=1440, 1 => 60u16..=240]
}

fn periods() -> impl Strategy<Value = Option<Vec<OpeningPeriod>>> {
    let days = proptest::sample::subsequence(Weekday::ALL.to_vec(), 1..=7);
    // Disjoint by construction; some touch.
    let some = vec((day_time(), days), 2..9).prop_map(|mut edges| {
        edges.sort_by_key(|(time, _)| *time);
        let time = |minutes: u16| DayTime::from_minutes(minutes).unwrap();
        let period = |pair: &[(u16, Vec<Weekday>)]| OpeningPeriod {
            days: pair[0].1.clone(),
            from: time(pair[0].0),
            to: time(pair[1].0),
        };
        let mut periods: Vec<_> = edges.windows(2).map(period).filter(|p| p.from < p.to).collect();
        if edges.len() % 2 == 0 {
            let mut is_kept = false;
            periods.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
        }
        Some(periods)
    });
    prop_oneof![1 => Just(None), 4 => some]
}

fn minutes(span: std::ops::Range<i64>) -> impl Strategy<Value = Minutes> {
    (span, prop_oneof![6 => 1i64..120, 1 => 1i64..1500])
        .prop_map(|(from, length)| Minutes(from, from + length))
}

fn held(span: std::ops::Range<i64>, now: Timestamp) -> impl Strategy<Value = Held> {
    (minutes(span), prop_oneof![Just(-1), Just(0), Just(1), -600_000i64..600_000]).prop_map(
        move |(Minutes(from, to), ahead)| Held {
            from,
            to,
            lapses: now.timestamp_millis() + ahead,
            user: None,
        },
    )
}

fn connector(span: std::ops::Range<i64>, now: Timestamp) -> impl Strategy<Value = ConnectorTime> {
    let status = prop_oneof![
        6 => Just("AVAILABLE"), 1 => Just("CHARGING"), 1 => Just("RESERVED"), 1 => Just("FAULTED"),
        1 => Just("UNAVAILABLE"), 1 => Just("UNKNOWN"),
    ];
    let since = prop::option::weighted(0.3, (0i64..200).prop_map(move |ago| now.timestamp() / 60 - ago));
    let (booked, held) = (vec(minutes(span.clone()), 0..5), vec(held(span, now), 0..3));
    (any::<u128>(), 1i32..4, status, since, booked, held).prop_map(
        |(id, number, status, session_since, booked, held)| ConnectorTime {
            id: Uuid::from_u128(id).into(),
            number,
            status: status.into(),
            session_since,
            booked,
            held,
        },
    )
}

#[derive(Debug, Clone)]
struct Case {
    zone: usize,
    calendar: Calendar,
    held: HashMap<ConnectorId, Vec<Held>>,
    wanted: Wanted,
    hold: Minutes,
}

fn cases() -> impl Strategy<Value = Case> {
    let base = (0..ZONES.len()).prop_flat_map(|zone| {
        let changes = CHANGES[zone].clone();
        let anywhere = 29_454_000i64..30_300_000;
        let base = if changes.is_empty() {
            anywhere.boxed()
        } else {
            let near = (proptest::sample::select(changes), -2000i64..200).prop_map(|(at, by)| at + by);
            prop_oneof![4 => near, 1 => anywhere].boxed()
        };
        (Just(zone), base, 1i64..60 * 50, 0i64..60, 0i64..60)
    });
    base.prop_flat_map(|(zone, from, range, seconds, later)| {
        let from = at(from) + TimeDelta::seconds(if seconds < 40 { 0 } else { seconds });
        let to = from + TimeDelta::minutes(range);
        // Mostly before the range, now and then within it, and sometimes exactly at a full minute.
        let now = prop_oneof![2 => -2880i64..0, 1 => 0i64..600].prop_map(move |minutes| {
            from + TimeDelta::minutes(minutes) + TimeDelta::seconds(if later < 30 { 0 } else { later })
        });
        let length = prop_oneof![
            6 => proptest::sample::select(vec![15i64, 30, 45, 50, 60, 60, 90, 120, 240, 480, 1440]),
            1 => 15i64..=1440,
        ];
        let last_start = prop_oneof![9 => Just(43_200i64), 1 => 1i64..3000];
        (Just((zone, from, to)), now, length, last_start).prop_flat_map(
            |((zone, from, to), now, length, ahead)| {
                let span = from.timestamp() / 60 - 300..to.timestamp() / 60 + 300;
                let wanted = Wanted {
                    from,
                    to,
                    length: SlotLength::try_from(length).unwrap(),
                    now,
                    last_start: now + TimeDelta::minutes(ahead),
                };
                let connectors = vec(connector(span.clone(), now), 1..4);
                let beside = vec((0usize..4, held(span.clone(), now)), 0..6);
                (Just((zone, wanted)), periods(), connectors, beside, minutes(span)).prop_map(
                    |((zone, wanted), periods, connectors, beside, hold)| {
                        let mut held: HashMap<ConnectorId, Vec<Held>> = HashMap::new();
                        for (index, one) in beside {
                            if let Some(connector) = connectors.get(index) {
                                held.entry(connector.id).or_default().push(one);
                            }
                        }
                        let hours = Hours { time_zone: ZONES[zone].parse().unwrap(), periods };
                        Case {
                            zone,
                            calendar: Calendar { hours, booking_fee: None, connectors },
                            held,
                            wanted,
                            hold,
                        }
                    },
                )
            },
        )
    })
}

/// What the clock on the wall shows, minute by minute, around what is asked for.
struct Model {
    first: i64,
    /// The latest time shown until each minute: a clock put back shows nothing new for a while.
    latest: Vec<NaiveDateTime>,
    /// [start, end) in minutes.
    openings: Vec<(i64, i64)>,
}

impl Model {
    fn new(case: &Case) -> Self {
        let zone: Tz = ZONES[case.zone].parse().unwrap();
        let margin = 35 * 60;
        let first = case.wanted.from.timestamp() / 60 - margin;
        let last = (case.wanted.to.timestamp() / 60).max(case.hold.1) + margin;
        let mut latest: Vec<NaiveDateTime> = (first..last).map(|minute| wall(zone, minute)).collect();
        for index in 1..latest.len() {
            latest[index] = latest[index].max(latest[index - 1]);
        }
        let mut model = Self { first, latest, openings: Vec::new() };
        let mut date = model.latest[0].date().succ_opt().unwrap();
        while let Some(day) =
            Some(date).filter(|day| day.and_hms_opt(0, 0, 0).unwrap() <= model.latest[model.latest.len() - 1])
        {
            let midnight = day.and_hms_opt(0, 0, 0).unwrap();
            let hours: Vec<(i64, i64)> = match &case.calendar.hours.periods {
                None => vec![(0, 1440)],
                Some(periods) => periods
                    .iter()
                    .filter(|period| period.days.iter().any(|d| is_weekday(*d, day.weekday())))
                    .map(|period| (minutes_of(period.from), minutes_of(period.to)))
                    .collect(),
            };
            for (from, to) in hours {
                let start = model.first_showing(midnight + TimeDelta::minutes(from));
                let end = model.first_showing(midnight + TimeDelta::minutes(to));
                model.openings.extend((start < end).then_some((start, end)));
            }
            date = day.succ_opt().unwrap();
        }
        model
    }

    fn first_showing(&self, shown: NaiveDateTime) -> i64 {
        self.first + self.latest.partition_point(|latest| *latest < shown) as i64
    }

    fn is_open(&self, minute: i64) -> bool {
        self.openings.iter().any(|(start, end)| (*start..*end).contains(&minute))
    }

    fn slots(&self, case: &Case) -> Vec<Slot> {
        let Wanted { from, to, length, now, last_start } = case.wanted;
        let mut slots = Vec::new();
        for connector in &case.calendar.connectors {
            if ["FAULTED", "UNAVAILABLE", "UNKNOWN"].contains(&connector.status.as_str()) {
                continue;
            }
            for (start, end) in &self.openings {
                let (mut slot_start, mut is_free, mut elapsed) = (*start, true, 0);
                for minute in *start..*end {
                    is_free &= !is_taken(case, connector, minute);
                    elapsed += 1;
                    if elapsed < length.minutes() {
                        continue;
                    }
                    let start = at(slot_start);
                    if is_free && start > now && start <= last_start && from <= start && start < to {
                        slots.push(((start, connector.number, connector.id), at(minute + 1)));
                    }
                    (slot_start, is_free, elapsed) = (minute + 1, true, 0);
                }
            }
        }
        slots.sort();
        let slot = |((start, number, connector_id), end): ((Timestamp, i32, ConnectorId), Timestamp)| Slot {
            connector_id,
            connector_number: number.to_string(),
            start,
            end,
            duration_minutes: length.minutes(),
        };
        slots.into_iter().map(slot).collect()
    }
}

fn is_taken(case: &Case, connector: &ConnectorTime, minute: i64) -> bool {
    let now = case.wanted.now;
    let beside = case.held.get(&connector.id).into_iter().flatten();
    let mut held = connector.held.iter().chain(beside);
    let charges = connector.session_since.is_some_and(|since| {
        let until = (at(since) + TimeDelta::hours(1)).max(now + TimeDelta::minutes(15));
        since <= minute && at(minute) < until
    });
    charges
        || connector.booked.iter().any(|Minutes(from, to)| (*from..*to).contains(&minute))
        || held.any(|held| held.lapses > now.timestamp_millis() && (held.from..held.to).contains(&minute))
}

fn is_weekday(day: Weekday, shown: chrono::Weekday) -> bool {
    format!("{day:?}").starts_with(&shown.to_string())
}

fn minutes_of(time: DayTime) -> i64 {
    let text = String::from(time);
    let (hours, minutes) = text.split_once(':').unwrap();
    hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap()
}

#[test]
fn slots_are_those_of_a_model_that_walks_minute_by_minute() {
    let (changed, offered, refused, opened) = (Cell::new(0), Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 700, ..Config::default() });
    let result = runner.run(&cases(), |case| {
        let model = Model::new(&case);
        let slots = free_slots(&case.calendar, &case.held, case.wanted);
        prop_assert_eq!(&slots, &model.slots(&case));

        // What is offered can be held, and a time is open if all of its minutes are.
        for slot in &slots {
            prop_assert!(case.calendar.hours.are_open(slot.start, slot.end));
            prop_assert!(slot.start > case.wanted.now && slot.start.second() == 0);
        }
        let Minutes(from, to) = case.hold;
        let is_open = (from..to).all(|minute| model.is_open(minute));
        prop_assert_eq!(case.calendar.hours.are_open(at(from), at(to)), is_open);

        let asked = case.wanted.from.timestamp() / 60..case.wanted.to.timestamp() / 60;
        let changes = CHANGES[case.zone].iter().any(|change| asked.contains(change));
        changed.set(changed.get() + usize::from(changes && !slots.is_empty()));
        offered.set(offered.get() + slots.len());
        refused.set(refused.get() + usize::from(slots.is_empty()));
        opened.set(opened.get() + usize::from(is_open));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    // The cases are worth something: clocks changed, much was offered, and not everything was open.
    assert!(changed.get() > 80, "{changed:?} changes of a clock");
    assert!(offered.get() > 3_000, "{offered:?} slots");
    assert!((70..600).contains(&opened.get()), "{opened:?} holds in opening hours");
    assert!(refused.get() < 500, "{refused:?} without a slot");
}

/// The local times of a day's slots of an hour, at a station that is always open.
fn hours_of(zone: &str, day: &str) -> Vec<String> {
    let time_zone: Zone = zone.parse().unwrap();
    let day: chrono::NaiveDate = day.parse().unwrap();
    let (from, to) = (time_zone.day_start(day), time_zone.day_start(day.succ_opt().unwrap()));
    let connector = ConnectorTime {
        id: ConnectorId::new(),
        number: 1,
        status: "AVAILABLE".into(),
        session_since: None,
        booked: Vec::new(),
        held: Vec::new(),
    };
    let hours = Hours { time_zone, periods: None };
    let calendar = Calendar { hours, booking_fee: None, connectors: vec![connector] };
    let now = from - TimeDelta::days(1);
    let wanted = Wanted { from, to, length: SlotLength::HOUR, now, last_start: to };
    let slots = free_slots(&calendar, &HashMap::new(), wanted);
    let zone: Tz = zone.parse().unwrap();
    slots.iter().map(|slot| slot.start.with_timezone(&zone).format("%H:%M").to_string()).collect()
}

#[test]
fn a_day_has_as_many_slots_of_an_hour_as_it_has_hours() {
    assert_eq!(hours_of("Europe/Berlin", "2026-06-01").len(), 24);
    let spring = hours_of("Europe/Berlin", "2026-03-29");
    assert_eq!((spring.len(), spring[1].as_str(), spring[2].as_str()), (23, "01:00", "03:00"));
    let autumn = hours_of("Europe/Berlin", "2026-10-25");
    assert_eq!((autumn.len(), autumn[2].as_str(), autumn[3].as_str()), (25, "02:00", "02:00"));
    // Half an hour less is half an hour in which no slot of an hour fits.
    assert_eq!(hours_of("Australia/Lord_Howe", "2026-10-04").len(), 23);
    // This day begins at 01:00.
    assert_eq!(hours_of("Africa/Cairo", "2026-04-24")[0], "01:00");
}
