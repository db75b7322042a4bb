//! When energy flowed, as far as a meter told it.

use rust_decimal::Decimal;
use serde::Deserialize;
use shared::{EnergyKwh, MoneyError, Timestamp};

use super::round::exact;

/// kW from one reading to the next that are no charging: less than any car charges with, more than a full one draws.
const FLOWS_FROM_KW: Decimal = Decimal::from_parts(1, 0, 0, false, 1);
/// kWh beyond the last reading that are no charging: one meter tells its readings and its end in different precision.
const METER_STEP_KWH: Decimal = Decimal::from_parts(1, 0, 0, false, 3);
/// More than any session has.
const MOST_KWH: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
const MILLIS_AN_HOUR: Decimal = Decimal::from_parts(3_600_000, 0, 0, false, 0);

/// What the meter showed at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Reading {
    /// When.
    pub at: Timestamp,
    /// Since the session's start; as text.
    #[serde(rename = "energyKwh")]
    pub energy: EnergyKwh,
}

/// A session as far as its price depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// When it took the connector.
    pub started_at: Timestamp,
    /// When it left it; before its start counts as then.
    pub ended_at: Timestamp,
    /// All that flowed.
    pub energy: EnergyKwh,
    /// In any order; may be none.
    pub readings: Vec<Reading>,
}

/// The energy since the start at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: i64,
    pub(super) energy: Decimal,
}

/// A session's energy over time: even between two points. Instants are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) start: i64,
    pub(super) end: i64,
    /// The energy of the session: what the last point has.
    pub(super) energy: Decimal,
    /// At least two; neither time nor energy goes back.
    pub(super) points: Vec<Point>,
    /// When the last energy had flowed; none if nothing was told of it.
    pub(super) last_flow: Option<i64>,
}

impl Profile {
    pub(super) fn of(usage: &Usage) -> Result<Self, MoneyError> {
        let start = usage.started_at.timestamp_millis();
        let end = usage.ended_at.timestamp_millis().max(start);
        let energy = billable(usage.energy)?;
        let told = told(usage, start, end);
        let last_flow = (!usage.readings.is_empty()).then(|| last_flow(&told, energy, end));
        let points = completed(told, energy, end)?;
        Ok(Self { start, end, energy, points, last_flow })
    }
}

/// No energy is below nothing; fails beyond what a session holds.
pub(super) fn billable(energy: EnergyKwh) -> Result<Decimal, MoneyError> {
    if energy.0 <= MOST_KWH { Ok(exact(energy.0.max(Decimal::ZERO))) } else { Err(MoneyError::Overflow) }
}

/// The start and what the readings tell, in order; no meter runs backwards or outside its session.
fn told(usage: &Usage, start: i64, end: i64) -> Vec<Point> {
    let mut points = vec![Point { at: start, energy: Decimal::ZERO }];
    let readings = usage.readings.iter();
    points.extend(readings.map(|reading| Point {
        at: reading.at.timestamp_millis().clamp(start, end),
        energy: reading.energy.0.clamp(Decimal::ZERO, MOST_KWH),
    }));
    points.sort_by_key(|point| (point.at, point.energy));
    let mut highest = Decimal::ZERO;
    for point in &mut points {
        highest = highest.max(point.energy);
        point.energy = highest;
    }
    points
}

/// The end of the last stretch in which a car charged, the one from the last reading to the end included.
fn last_flow(told: &[Point], energy: Decimal, end: i64) -> i64 {
    let mut last_flow = told.first().map_or(end, |first| first.at);
    for (from, to) in told.iter().zip(told.iter().skip(1)) {
        if flows(*from, *to) {
            last_flow = to.at;
        }
    }
    if let Some(last) = told.last()
        && energy - last.energy >= METER_STEP_KWH
        && flows(*last, Point { at: end, energy })
    {
        last_flow = end;
    }
    last_flow
}

fn flows(from: Point, to: Point) -> bool {
    let slowest = FLOWS_FROM_KW * Decimal::from(to.at - from.at) / MILLIS_AN_HOUR;
    let grown = to.energy - from.energy;
    grown > Decimal::ZERO && grown >= slowest
}

/// The points with the session's energy at its end.
fn completed(mut points: Vec<Point>, energy: Decimal, end: i64) -> Result<Vec<Point>, MoneyError> {
    let last = points.last().copied().unwrap_or(Point { at: end, energy: Decimal::ZERO });
    if last.energy > energy || (last.at == end && last.energy > Decimal::ZERO) {
        for point in &mut points {
            let scaled =
                point.energy.checked_mul(energy).and_then(|product| product.checked_div(last.energy));
            point.energy = scaled.ok_or(MoneyError::Overflow)?;
        }
    } else if last.energy.is_zero() && last.at == end {
        // Nothing tells when it flowed.
        points.truncate(1);
    }
    points.push(Point { at: end, energy });
    Ok(points)
}
