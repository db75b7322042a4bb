//! The one place where prices are rounded.

use rust_decimal::{Decimal, RoundingStrategy};
use shared::{Currency, Money, MoneyError};

use super::line::{Item, Line};

/// Decimals that are exact; what a division left behind them is nobody's money.
const EXACT_DIGITS: u32 = 15;
/// No invoice holds more, in whole units of any currency.
const MOST: Decimal = Decimal::from_parts(1_410_065_407, 2, 0, false, 0);

/// A total in coins, its share of VAT, and lines that add up to it.
pub(crate) struct Rounded {
    pub(crate) gross: Money,
    pub(crate) net: Money,
    pub(crate) vat: Money,
    pub(crate) lines: Vec<Line>,
}

/// Rounds the sum of `items` to the coin, halves away from zero, and gives each line its share of the coins.
pub(crate) fn rounded(
    items: Vec<Item>,
    currency: Currency,
    vat_rate: Decimal,
) -> Result<Rounded, MoneyError> {
    let exact: Vec<Decimal> = items.iter().map(|item| item.amount).collect();
    let gross = Money::new(sum(&exact)?, currency).rounded();
    let amounts = apportion(&exact, gross.amount(), currency.minor_digits());

    let net = Decimal::ONE.checked_add(vat_rate).and_then(|rate| gross.amount().checked_div(rate));
    let net = Money::new(net.ok_or(MoneyError::Overflow)?, currency).rounded();
    let vat = Money::new(gross.amount() - net.amount(), currency);
    let lines = items.into_iter().zip(amounts).map(|(item, amount)| Line {
        description: item.description,
        quantity: item.quantity,
        unit: item.unit,
        unit_price: item.unit_price.unwrap_or(amount).normalize(),
        amount: Money::new(amount, currency),
    });
    Ok(Rounded { gross, net, vat, lines: lines.collect() })
}

/// What was computed with divisions, without their trace.
pub(crate) fn exact(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(EXACT_DIGITS, RoundingStrategy::MidpointAwayFromZero)
}

/// The sum of amounts that are not negative; fails beyond what an invoice holds.
pub(crate) fn sum(amounts: &[Decimal]) -> Result<Decimal, MoneyError> {
    let total = amounts.iter().try_fold(Decimal::ZERO, |total, amount| total.checked_add(*amount));
    total.filter(|total| *total <= MOST).ok_or(MoneyError::Overflow)
}

/// `parts` with so many decimals that they add up to `total`, which is their rounded sum: each is cut, and what is
/// missing then goes, one step each, to those that lost most.
pub(crate) fn apportion(parts: &[Decimal], total: Decimal, digits: u32) -> Vec<Decimal> {
    let mut shares: Vec<Decimal> =
        parts.iter().map(|part| part.round_dp_with_strategy(digits, RoundingStrategy::ToZero)).collect();
    let mut by_loss: Vec<usize> = (0..parts.len()).collect();
    by_loss.sort_by_key(|index| std::cmp::Reverse(parts[*index] - shares[*index]));
    let step = Decimal::new(1, digits);
    let mut missing = total - shares.iter().sum::<Decimal>();
    for index in by_loss {
        if missing < step {
            break;
        }
        shares[index] += step;
        missing -= step;
    }
    for share in &mut shares {
        share.rescale(digits);
    }
    shares
}
