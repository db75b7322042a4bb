//! Tariffs and sessions of every kind, by the dice.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use rust_decimal::Decimal;
use shared::{EnergyKwh, StationId, TariffId, Weekday};
use tariff::{Band, LocalTime, Reading, Tariff, Usage};
use uuid::Uuid;

use crate::Result;
use crate::prove::dice::Dice;

/// Days around which clocks are put forward or back somewhere, and one on which none is.
const DAYS: [&str; 7] = [
    "2026-03-28T12:00:00Z",
    "2026-10-24T12:00:00Z",
    "2026-04-04T06:00:00Z",
    "2026-10-03T06:00:00Z",
    "2026-09-05T12:00:00Z",
    "2026-11-01T00:00:00Z",
    "2026-06-30T00:00:00Z",
];
/// Those whose clock is reckoned here, too, come first.
const ZONES: [&str; 7] = [
    "Europe/Berlin",
    "UTC",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/New_York",
    "America/Santiago",
];

/// From 0 to below `end`.
pub(super) fn below(dice: &Dice, end: i64) -> i64 {
    i64::try_from(dice.below(usize::try_from(end).unwrap_or(1))).unwrap_or(0)
}

/// A price to the millionth, or nothing.
fn unit_price(dice: &Dice) -> Decimal {
    if dice.chance(0.2) { Decimal::ZERO } else { Decimal::new(below(dice, 2_000_000), 6) }
}

fn local_time(dice: &Dice) -> Result<LocalTime> {
    // Often around the hours that are skipped or shown twice.
    let minute = if dice.chance(0.5) { below(dice, 1440) } else { 100 + below(dice, 100) };
    Ok(format!("{:02}:{:02}", minute / 60, minute % 60).parse()?)
}

fn band(dice: &Dice) -> Result<Band> {
    let mut days: Vec<_> = Weekday::ALL.into_iter().filter(|_| dice.chance(0.6)).collect();
    if days.is_empty() {
        days.push(dice.one_of(&Weekday::ALL));
    }
    Ok(Band {
        days,
        from: local_time(dice)?,
        to: local_time(dice)?,
        per_kwh: unit_price(dice),
        per_minute: unit_price(dice),
    })
}

/// Any tariff.
pub(super) fn tariff(dice: &Dice) -> Result<Tariff> {
    Ok(Tariff {
        id: TariffId::from(Uuid::nil()),
        station_id: None::<StationId>,
        operator: None,
        currency: dice.one_of(&["EUR", "JPY", "KWD"]).parse()?,
        per_kwh: unit_price(dice),
        per_minute: unit_price(dice),
        start_fee: unit_price(dice),
        idle_per_minute: unit_price(dice),
        idle_grace_minutes: u32::try_from(dice.below(60))?,
        minimum: unit_price(dice) * Decimal::TEN,
        booking_fee: Decimal::ZERO,
        vat_rate: Decimal::new(below(dice, 3_000), 4),
        time_zone: dice.one_of(&ZONES).parse()?,
        bands: (0..dice.below(4)).map(|_| band(dice)).collect::<Result<_>>()?,
        valid_from: DateTime::UNIX_EPOCH,
        valid_to: None,
    })
}

fn start(dice: &Dice) -> Result<DateTime<Utc>> {
    let day: DateTime<Utc> = dice.one_of(&DAYS).parse()?;
    Ok(day + TimeDelta::minutes(below(dice, 1440)))
}

/// A session of up to 28 hours without readings.
pub(super) fn plain(dice: &Dice) -> Result<Usage> {
    let started_at = start(dice)?;
    Ok(Usage {
        started_at,
        ended_at: started_at + TimeDelta::milliseconds(below(dice, 100_000_000)),
        energy: EnergyKwh(Decimal::new(below(dice, 1_000_000), 4)),
        readings: Vec::new(),
    })
}

/// A session with readings in order, the last of which has all of its energy; the meter stands still or grows as a car
/// charges.
pub(super) fn metered(dice: &Dice) -> Result<Usage> {
    let started_at = start(dice)?;
    let (mut at, mut energy, mut readings) = (started_at, Decimal::ZERO, Vec::new());
    for _ in 0..=dice.below(9) {
        at += TimeDelta::minutes(1 + below(dice, 89));
        if dice.chance(0.7) {
            energy += Decimal::new(5_000 + below(dice, 195_000), 4);
        }
        readings.push(Reading { at, energy: EnergyKwh(energy) });
    }
    let ended_at = at + TimeDelta::minutes(below(dice, 300));
    Ok(Usage { started_at, ended_at, energy: EnergyKwh(energy), readings })
}

/// A session whose readings are out of order, outside of it, beyond its energy or below nothing.
pub(super) fn odd(dice: &Dice) -> Result<Usage> {
    let usage = plain(dice)?;
    let readings = (0..dice.below(12)).map(|_| Reading {
        at: usage.started_at + TimeDelta::milliseconds(below(dice, 120_000_000) - 10_000_000),
        energy: EnergyKwh(Decimal::new(below(dice, 2_001_000) - 1_000, 4)),
    });
    Ok(Usage { readings: readings.collect(), ..usage })
}

/// The instants within the session at which a band begins or ends, reckoned without the crate's own clock: for zones
/// that never change their offset, and for Berlin by the European rule.
pub(super) fn edges(tariff: &Tariff, usage: &Usage) -> Vec<DateTime<Utc>> {
    let zone = String::from(tariff.time_zone);
    if !ZONES[..3].contains(&zone.as_str()) {
        return Vec::new();
    }
    let mut edges = Vec::new();
    let (Some(first), Some(last)) =
        (usage.started_at.date_naive().pred_opt(), usage.ended_at.date_naive().succ_opt())
    else {
        return edges;
    };
    for day in first.iter_days().take_while(|day| *day <= last) {
        for time in tariff.bands.iter().flat_map(|band| [band.from, band.to]) {
            edges.extend(instants(&zone, day, time));
        }
    }
    edges.retain(|edge| usage.started_at < *edge && *edge < usage.ended_at);
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// When the clocks there show this: once, twice or never.
fn instants(zone: &str, day: NaiveDate, time: LocalTime) -> Vec<DateTime<Utc>> {
    let time = String::from(time);
    let Ok(time) = chrono::NaiveTime::parse_from_str(&time, "%H:%M") else { return Vec::new() };
    let shown = day.and_time(time).and_utc();
    let offsets: &[i64] = match zone {
        "UTC" => &[0],
        "Asia/Kathmandu" => &[345],
        _ => &[60, 120],
    };
    let at = offsets.iter().map(|minutes| (*minutes, shown - TimeDelta::minutes(*minutes)));
    at.filter(|(minutes, at)| zone != "Europe/Berlin" || (*minutes == 120) == is_summer(*at))
        .map(|(_, at)| at)
        .collect()
}

/// Summer time lasts from the last Sunday of March to that of October, 01:00 UTC.
fn is_summer(at: DateTime<Utc>) -> bool {
    let change = |month: u32| {
        let last = NaiveDate::from_ymd_opt(at.year(), month, 31)?;
        let sunday = last - TimeDelta::days(i64::from(last.weekday().num_days_from_sunday()));
        Some(sunday.and_hms_opt(1, 0, 0)?.and_utc())
    };
    matches!((change(3), change(10)), (Some(begin), Some(end)) if begin <= at && at < end)
}
