//! From a session's usage to its price.

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use shared::{EnergyKwh, Money, MoneyError};

use super::band::edges;
use super::line::{Item, Line, Unit};
use super::profile::{Profile, billable};
use super::round::{apportion, exact, rounded};
use super::{Basis, Coverage, Tariff, Usage};

/// Decimals of a quantity that is told; energy is metered in no finer ones.
const QUANTITY_DIGITS: u32 = 4;
const MILLIS_A_MINUTE: Decimal = Decimal::from_parts(60_000, 0, 0, false, 0);

/// What a session, or a month of a flat rate, costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The sum of the lines.
    pub gross: Money,
    /// Without VAT.
    pub net: Money,
    /// The VAT in it.
    pub vat: Money,
    /// Share of the net price.
    pub vat_rate: Decimal,
    /// At least one.
    pub lines: Vec<Line>,
    /// What was taken from a flat rate's fair use.
    pub covered: EnergyKwh,
}

impl Price {
    pub(crate) fn of(
        items: Vec<Item>,
        currency: shared::Currency,
        vat_rate: Decimal,
        covered: EnergyKwh,
    ) -> Result<Self, MoneyError> {
        let total = rounded(items, currency, vat_rate)?;
        Ok(Self { gross: total.gross, net: total.net, vat: total.vat, vat_rate, lines: total.lines, covered })
    }

    /// `currency gross net vat vatRate lines`, as `issue_invoice` of migration 0010 reads them: decimals as text.
    pub fn invoice_fields(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            json!({
                "description": line.description,
                "quantity": line.quantity.to_string(),
                "unit": line.unit.name(),
                "unitPrice": line.unit_price.to_string(),
                "amount": line.amount.amount().to_string(),
            })
        });
        json!({
            "currency": self.gross.currency(),
            "gross": self.gross.amount().to_string(),
            "net": self.net.amount().to_string(),
            "vat": self.vat.amount().to_string(),
            "vatRate": self.vat_rate.to_string(),
            "lines": lines.collect::<Vec<_>>(),
        })
    }
}

/// The price of a session; fails only beyond what a decimal holds.
pub fn price(basis: &Basis<'_>, usage: &Usage) -> Result<Price, MoneyError> {
    match basis {
        Basis::Tariff(tariff) => {
            let items = by_tariff(tariff, usage)?;
            Price::of(items, tariff.currency, tariff.vat_rate, EnergyKwh::default())
        }
        Basis::Plan(coverage) => {
            let (items, covered) = by_plan(coverage, usage)?;
            Price::of(items, coverage.currency, coverage.vat_rate, covered)
        }
    }
}

fn by_plan(coverage: &Coverage, usage: &Usage) -> Result<(Vec<Item>, EnergyKwh), MoneyError> {
    let energy = billable(usage.energy)?;
    let covered = energy.min(coverage.remaining_kwh.0.max(Decimal::ZERO));
    let beyond = energy - covered;
    let line = |words: &str, quantity: Decimal, unit_price: Decimal| {
        Ok(Item {
            description: format!("{words} {}", coverage.plan_name),
            quantity: quantity.normalize(),
            unit: Unit::Kwh,
            unit_price: Some(unit_price),
            amount: quantity.checked_mul(unit_price).ok_or(MoneyError::Overflow)?,
        })
    };
    let mut items = Vec::new();
    if covered > Decimal::ZERO || beyond.is_zero() {
        items.push(line("Energy within the fair use of", covered, Decimal::ZERO)?);
    }
    if beyond > Decimal::ZERO {
        items.push(line("Energy beyond the fair use of", beyond, coverage.per_kwh_beyond)?);
    }
    Ok((items, EnergyKwh(covered)))
}

pub(super) fn by_tariff(tariff: &Tariff, usage: &Usage) -> Result<Vec<Item>, MoneyError> {
    let profile = Profile::of(usage)?;
    let idle_from = idle_from(tariff, &profile);
    let slices = slices(tariff, profile.start, profile.end);

    let mut items = energy_items(&slices, &profile)?;
    items.extend(time_items(&slices, idle_from)?);
    if tariff.start_fee > Decimal::ZERO {
        items.push(once("Start fee", Some(tariff.start_fee), tariff.start_fee));
    }
    if idle_from < profile.end {
        items.push(minutes("Idle time", profile.end - idle_from, tariff.idle_per_minute)?);
    }
    let amounts: Vec<Decimal> = items.iter().map(|item| item.amount).collect();
    let total = super::round::sum(&amounts)?;
    if total > Decimal::ZERO && total < tariff.minimum {
        items.push(once("Up to the minimum", None, tariff.minimum - total));
    }
    if items.is_empty() {
        items.push(energy("Energy", Decimal::ZERO, Decimal::ZERO, tariff.per_kwh)?);
    }
    Ok(items)
}

/// When the idle price takes over; the end if never.
fn idle_from(tariff: &Tariff, profile: &Profile) -> i64 {
    match profile.last_flow {
        Some(last_flow) if tariff.idle_per_minute > Decimal::ZERO => {
            let grace = TimeDelta::minutes(i64::from(tariff.idle_grace_minutes)).num_milliseconds();
            last_flow.saturating_add(grace).min(profile.end)
        }
        _ => profile.end,
    }
}

/// A stretch of time in which the prices do not change; from before its end.
struct Slice {
    from: i64,
    to: i64,
    per_kwh: Decimal,
    per_minute: Decimal,
}

/// `start` to `end` by price; at least one.
fn slices(tariff: &Tariff, start: i64, end: i64) -> Vec<Slice> {
    let mut starts = vec![start];
    if !tariff.bands.is_empty() {
        starts.extend(edges(&tariff.bands, tariff.time_zone, start, end));
    }
    let ends = starts.iter().copied().skip(1).chain([end]);
    let slices = starts.iter().zip(ends).map(|(from, to)| {
        let shown = tariff.time_zone.wall_clock(*from);
        let band = shown.and_then(|shown| tariff.bands.iter().find(|band| band.holds(shown)));
        let (per_kwh, per_minute) =
            band.map_or((tariff.per_kwh, tariff.per_minute), |band| (band.per_kwh, band.per_minute));
        Slice { from: *from, to, per_kwh, per_minute }
    });
    slices.collect()
}

/// One line for each price of energy, in the order of their first use; their energies add up to the session's.
fn energy_items(slices: &[Slice], profile: &Profile) -> Result<Vec<Item>, MoneyError> {
    let mut by_price: Vec<(Decimal, Decimal)> = Vec::new();
    for (from, to) in profile.points.iter().zip(profile.points.iter().skip(1)) {
        let grown = to.energy - from.energy;
        if grown.is_zero() {
            continue;
        }
        let first = slices.partition_point(|slice| slice.to <= from.at).min(slices.len() - 1);
        for slice in slices.iter().skip(first).take_while(|slice| slice.from <= to.at) {
            let flowed = if from.at == to.at {
                grown
            } else {
                let part = Decimal::from((slice.to.min(to.at) - slice.from.max(from.at)).max(0));
                let whole = Decimal::from(to.at - from.at);
                let flowed = grown.checked_mul(part).and_then(|product| product.checked_div(whole));
                flowed.ok_or(MoneyError::Overflow)?
            };
            if flowed > Decimal::ZERO {
                add(&mut by_price, slice.per_kwh, flowed);
            }
            if from.at == to.at {
                break;
            }
        }
    }
    for (_, flowed) in &mut by_price {
        *flowed = exact(*flowed);
    }
    let flowed: Vec<Decimal> = by_price.iter().map(|(_, flowed)| *flowed).collect();
    let told = apportion(&flowed, profile.energy, profile.energy.normalize().scale().max(QUANTITY_DIGITS));
    // What divisions lost or added for good is the largest part's.
    let difference = profile.energy - flowed.iter().sum::<Decimal>();
    if let Some((_, largest)) = by_price.iter_mut().max_by_key(|(_, flowed)| *flowed) {
        *largest += difference;
    }
    let items = by_price.iter().zip(told);
    items.map(|((price, flowed), told)| energy("Energy", *flowed, told, *price)).collect()
}

/// One line for each price of time above nothing, in the order of their first use.
fn time_items(slices: &[Slice], until: i64) -> Result<Vec<Item>, MoneyError> {
    let mut by_price: Vec<(Decimal, Decimal)> = Vec::new();
    for slice in slices {
        let millis = slice.to.min(until) - slice.from;
        if millis > 0 && slice.per_minute > Decimal::ZERO {
            add(&mut by_price, slice.per_minute, Decimal::from(millis));
        }
    }
    by_price
        .into_iter()
        .map(|(price, millis)| charged_minutes("Time at the connector", millis, price))
        .collect()
}

fn add(by_price: &mut Vec<(Decimal, Decimal)>, price: Decimal, quantity: Decimal) {
    match by_price.iter_mut().find(|(known, _)| *known == price) {
        Some((_, sum)) => *sum += quantity,
        None => by_price.push((price, quantity)),
    }
}

fn energy(words: &str, exactly: Decimal, told: Decimal, unit_price: Decimal) -> Result<Item, MoneyError> {
    let amount = exactly.checked_mul(unit_price).ok_or(MoneyError::Overflow)?;
    Ok(Item {
        description: words.to_owned(),
        quantity: told.normalize(),
        unit: Unit::Kwh,
        unit_price: Some(unit_price),
        amount: exact(amount),
    })
}

fn minutes(words: &str, millis: i64, unit_price: Decimal) -> Result<Item, MoneyError> {
    charged_minutes(words, Decimal::from(millis), unit_price)
}

fn charged_minutes(words: &str, millis: Decimal, unit_price: Decimal) -> Result<Item, MoneyError> {
    let amount = millis.checked_mul(unit_price).and_then(|product| product.checked_div(MILLIS_A_MINUTE));
    Ok(Item {
        description: words.to_owned(),
        quantity: (millis / MILLIS_A_MINUTE).round_dp(QUANTITY_DIGITS).normalize(),
        unit: Unit::Minute,
        unit_price: Some(unit_price),
        amount: exact(amount.ok_or(MoneyError::Overflow)?),
    })
}

fn once(words: &str, unit_price: Option<Decimal>, amount: Decimal) -> Item {
    Item { description: words.to_owned(), quantity: Decimal::ONE, unit: Unit::Session, unit_price, amount }
}
