//! The rules of prices once more, as plainly and slowly as can be: minute by minute, by the clock on the wall. For
//! sessions that begin, end and are read at whole minutes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use chrono::{Datelike, TimeDelta, Timelike};
use rust_decimal::Decimal;
use shared::Timestamp;

use super::{Band, Tariff, Usage};

/// The exact total, without the minimum.
pub(super) fn total(tariff: &Tariff, usage: &Usage) -> Decimal {
    let minutes = (usage.ended_at - usage.started_at).num_minutes();
    let meter: Vec<Decimal> = (0..=minutes).map(|minute| meter(usage, minute)).collect();
    let idle_from = idle_from(tariff, usage, minutes);
    let mut total = tariff.start_fee;
    for (index, minute) in (0..minutes).enumerate() {
        let (per_kwh, per_minute) = prices(tariff, usage.started_at + TimeDelta::minutes(minute));
        total += (meter[index + 1] - meter[index]) * per_kwh;
        total += if minute < idle_from { per_minute } else { tariff.idle_per_minute };
    }
    total
}

/// The points that the meter is known at: minutes since the start, kWh.
fn points(usage: &Usage) -> Vec<(i64, Decimal)> {
    let mut points = vec![(0, Decimal::ZERO)];
    for reading in &usage.readings {
        points.push(((reading.at - usage.started_at).num_minutes(), reading.energy.0));
    }
    points
}

/// What the meter shows at a minute; readings are in order and have no more energy than the session.
fn meter(usage: &Usage, minute: i64) -> Decimal {
    let mut points = points(usage);
    points.push(((usage.ended_at - usage.started_at).num_minutes(), usage.energy.0));
    let after = points.iter().position(|(at, _)| *at > minute);
    let Some(after) = after else { return usage.energy.0 };
    let ((from, before), (to, behind)) = (points[after - 1], points[after]);
    before + (behind - before) * Decimal::from(minute - from) / Decimal::from(to - from)
}

/// Readings of the property tests either stand still or grow as a car charges.
fn idle_from(tariff: &Tariff, usage: &Usage, minutes: i64) -> i64 {
    if usage.readings.is_empty() || tariff.idle_per_minute.is_zero() {
        return minutes;
    }
    let mut points = points(usage);
    points.push((minutes, usage.energy.0));
    let growing = points.windows(2).filter(|pair| pair[1].1 > pair[0].1).map(|pair| pair[1].0);
    growing.max().unwrap_or(0) + i64::from(tariff.idle_grace_minutes)
}

fn prices(tariff: &Tariff, at: Timestamp) -> (Decimal, Decimal) {
    let zone: chrono_tz::Tz = String::from(tariff.time_zone).parse().unwrap();
    let shown = at.with_timezone(&zone);
    let today = shown.weekday();
    let clock = format!("{:02}:{:02}", shown.hour(), shown.minute());
    let on = |band: &Band, day: chrono::Weekday| band.days.contains(&day.into());
    for band in &tariff.bands {
        let (from, to) = (String::from(band.from), String::from(band.to));
        let holds = if from < to {
            on(band, today) && from <= clock && clock < to
        } else {
            (on(band, today) && from <= clock) || (on(band, today.pred()) && clock < to)
        };
        if holds {
            return (band.per_kwh, band.per_minute);
        }
    }
    (tariff.per_kwh, tariff.per_minute)
}
