//! What holds for every tariff and every session.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use shared::EnergyKwh;
use tariff::{Band, Basis, Price, Reading, Tariff, Unit, Usage, price};

use super::cases;
use crate::Result;
use crate::prove::dice::Dice;

/// How many sessions were split.
#[derive(Debug, Default)]
pub(super) struct Ruled {
    pub(super) splits: usize,
    /// Of those, at the begin or end of a band.
    pub(super) at_edges: usize,
}

/// Tries so many cases; the first that breaks a rule is the error.
pub(super) fn hold(cases: u64, seed: u64) -> Result<Ruled> {
    let mut ruled = Ruled::default();
    for case in 0..cases {
        // Dice of its own, so that one case can be tried again.
        let dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(case));
        one(&dice, &mut ruled).map_err(|error| format!("case {case}: {error}"))?;
    }
    Ok(ruled)
}

fn one(dice: &Dice, ruled: &mut Ruled) -> Result<()> {
    let tariff = cases::tariff(dice)?;
    let (plain, metered) = (cases::plain(dice)?, cases::metered(dice)?);
    for usage in [&plain, &metered, &cases::odd(dice)?] {
        adds_up(&tariff, usage)?;
    }
    more_energy(dice, &tariff, &plain, &metered)?;
    more_time(dice, &tariff, &plain, &metered)?;
    let tariff = by_the_instant(tariff);
    for usage in [&plain, &metered] {
        if let Some(at) = any_instant(dice, usage) {
            splits(&tariff, usage, at)?;
            ruled.splits += 1;
        }
        for edge in cases::edges(&tariff, usage) {
            splits(&tariff, usage, edge)?;
            ruled.splits += 1;
            ruled.at_edges += 1;
        }
    }
    Ok(())
}

fn broken(rule: &str, tariff: &Tariff, usage: &Usage, found: &str) -> crate::Error {
    format!("{rule}: {found}; {tariff:?}; {usage:?}").into()
}

fn billed(tariff: &Tariff, usage: &Usage) -> Result<Price> {
    Ok(price(&Basis::Tariff(tariff), usage)?)
}

fn gross(tariff: &Tariff, usage: &Usage) -> Result<Decimal> {
    Ok(billed(tariff, usage)?.gross.amount())
}

fn coin(tariff: &Tariff) -> Decimal {
    Decimal::new(1, tariff.currency.minor_digits())
}

/// Lines are coins and add up to the gross price and to the energy; net and VAT are its parts, by the rate.
fn adds_up(tariff: &Tariff, usage: &Usage) -> Result<()> {
    let bill = billed(tariff, usage)?;
    let (gross, net, vat) = (bill.gross.amount(), bill.net.amount(), bill.vat.amount());
    let digits = tariff.currency.minor_digits();
    let sum: Decimal = bill.lines.iter().map(|line| line.amount.amount()).sum();
    let energy: Decimal =
        bill.lines.iter().filter(|line| line.unit == Unit::Kwh).map(|line| line.quantity).sum();
    let is_sound = bill.lines.iter().all(|line| {
        let amount = line.amount.amount();
        amount >= Decimal::ZERO && line.quantity >= Decimal::ZERO && amount.scale() == digits
    });
    let of_net = gross / (Decimal::ONE + tariff.vat_rate);
    let is_right = sum == gross
        && energy == usage.energy.0
        && is_sound
        && net + vat == gross
        && net >= Decimal::ZERO
        && vat >= Decimal::ZERO
        && (net - of_net).abs() <= coin(tariff) / Decimal::TWO;
    if is_right { Ok(()) } else { Err(broken("lines and VAT add up", tariff, usage, &format!("{bill:?}"))) }
}

fn no_less(rule: &str, tariff: &Tariff, usage: &Usage, more: &Usage) -> Result<()> {
    let (less, more) = (gross(tariff, usage)?, gross(tariff, more)?);
    if more >= less { Ok(()) } else { Err(broken(rule, tariff, usage, &format!("{less}, then {more}"))) }
}

/// More energy, flowing alike, never costs less.
fn more_energy(dice: &Dice, tariff: &Tariff, plain: &Usage, metered: &Usage) -> Result<()> {
    let rule = "more energy never costs less";
    let more = EnergyKwh(plain.energy.0 + Decimal::new(cases::below(dice, 1_000_000), 4));
    no_less(rule, tariff, plain, &Usage { energy: more, ..plain.clone() })?;

    let percent = Decimal::new(100 + cases::below(dice, 400), 2);
    let more = |energy: EnergyKwh| EnergyKwh(energy.0 * percent);
    let readings =
        metered.readings.iter().map(|reading| Reading { energy: more(reading.energy), ..*reading });
    let longer = Usage { energy: more(metered.energy), readings: readings.collect(), ..metered.clone() };
    no_less(rule, tariff, metered, &longer)
}

/// More time never costs less, if the energy flows when it flowed, or costs the same whenever it flows.
fn more_time(dice: &Dice, tariff: &Tariff, plain: &Usage, metered: &Usage) -> Result<()> {
    let rule = "more time never costs less";
    let later = |usage: &Usage| {
        let more = TimeDelta::milliseconds(cases::below(dice, 100_000_000));
        Usage { ended_at: usage.ended_at + more, ..usage.clone() }
    };
    no_less(rule, tariff, metered, &later(metered))?;
    let bands = tariff.bands.iter().map(|band| Band { per_kwh: tariff.per_kwh, ..band.clone() });
    let alike = Tariff { bands: bands.collect(), ..tariff.clone() };
    no_less(rule, &alike, plain, &later(plain))
}

/// Without what is due once or depends on all of a session.
fn by_the_instant(tariff: Tariff) -> Tariff {
    let zero = Decimal::ZERO;
    Tariff { start_fee: zero, minimum: zero, idle_per_minute: zero, ..tariff }
}

fn any_instant(dice: &Dice, usage: &Usage) -> Option<DateTime<Utc>> {
    let millis = (usage.ended_at - usage.started_at).num_milliseconds();
    (millis > 1).then(|| usage.started_at + TimeDelta::milliseconds(1 + cases::below(dice, millis - 1)))
}

/// Two parts cost what the whole does, but for three roundings of half a coin.
fn splits(tariff: &Tariff, usage: &Usage, at: DateTime<Utc>) -> Result<()> {
    let (earlier, later) = parted(usage, at)?;
    let (parts, whole) = (gross(tariff, &earlier)? + gross(tariff, &later)?, gross(tariff, usage)?);
    let most = coin(tariff) * Decimal::new(15, 1);
    if (parts - whole).abs() <= most {
        return Ok(());
    }
    let found = format!("{whole} whole, {parts} parted at {at}");
    Err(broken("splitting changes nothing but rounding", tariff, usage, &found))
}

/// A session as two, the energy divided as it flowed: evenly between any two readings.
fn parted(usage: &Usage, at: DateTime<Utc>) -> Result<(Usage, Usage)> {
    let start = (usage.started_at, Decimal::ZERO);
    let told = usage.readings.iter().map(|reading| (reading.at, reading.energy.0));
    let points: Vec<_> = [start].into_iter().chain(told).chain([(usage.ended_at, usage.energy.0)]).collect();
    let after = points.iter().position(|(when, _)| *when > at).ok_or("parted outside of it")?;
    let ((from, had), (to, has)) = (points[after - 1], points[after]);
    let millis = |span: TimeDelta| Decimal::from(span.num_milliseconds());
    let flowed = had + (has - had) * millis(at - from) / millis(to - from);
    let (earlier, later): (Vec<Reading>, Vec<Reading>) =
        usage.readings.iter().partition(|reading| reading.at <= at);
    let later =
        later.into_iter().map(|reading| Reading { energy: EnergyKwh(reading.energy.0 - flowed), ..reading });
    Ok((
        Usage { ended_at: at, energy: EnergyKwh(flowed), readings: earlier, ..*usage },
        Usage {
            started_at: at,
            energy: EnergyKwh(usage.energy.0 - flowed),
            readings: later.collect(),
            ..*usage
        },
    ))
}
