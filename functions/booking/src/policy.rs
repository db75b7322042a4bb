//! What a cancellation costs, and how long a driver is waited for. Settings, read once.

use std::str::FromStr;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use shared::{Failure, Money, Timestamp};

/// A share of a price: 0 to 100 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(u8);

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(percent @ 0..=100) => Ok(Self(percent)),
            _ => Err("must be a whole number from 0 to 100"),
        }
    }
}

impl Percent {
    /// The number, as statements take it.
    pub(crate) fn get(self) -> i64 {
        self.0.into()
    }

    /// That share of `whole`, to the coin.
    fn of(self, whole: Money) -> Money {
        Money::new(whole.amount() * Decimal::from(self.0) / Decimal::ONE_HUNDRED, whole.currency()).rounded()
    }
}

/// A span of whole minutes, up to a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeMinutes(u16);

impl FromStr for WholeMinutes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(minutes @ 0..=10_080) => Ok(Self(minutes)),
            _ => Err("must be a whole number of minutes from 0 to 10080"),
        }
    }
}

impl WholeMinutes {
    /// The number, as statements take it.
    pub(crate) fn get(self) -> i64 {
        self.0.into()
    }
}

/// The rules of cancelling and not coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Until so long before the start a cancellation costs nothing: `BOOKING_FREE_CANCELLATION_MINUTES`, 60 unless set.
    pub free_cancellation: WholeMinutes,
    /// What is kept of the price of one that comes later: `BOOKING_LATE_CANCELLATION_FEE_PERCENT`, 50 unless set.
    pub late_fee: Percent,
    /// How long after the start a driver is waited for: `BOOKING_NO_SHOW_GRACE_PERIOD_MINUTES`, 15 unless set.
    pub grace: WholeMinutes,
    /// What is given back to whom did not come: `BOOKING_NO_SHOW_REFUND_PERCENT`, 0 unless set.
    pub no_show_refund: Percent,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            free_cancellation: WholeMinutes(60),
            late_fee: Percent(50),
            grace: WholeMinutes(15),
            no_show_refund: Percent(0),
        }
    }
}

impl Policy {
    /// From the variables that its fields name. A fault names the one that cannot be read.
    pub fn from_env() -> Result<Self, Failure> {
        let ours = Self::default();
        Ok(Self {
            free_cancellation: told("BOOKING_FREE_CANCELLATION_MINUTES", ours.free_cancellation)?,
            late_fee: told("BOOKING_LATE_CANCELLATION_FEE_PERCENT", ours.late_fee)?,
            grace: told("BOOKING_NO_SHOW_GRACE_PERIOD_MINUTES", ours.grace)?,
            no_show_refund: told("BOOKING_NO_SHOW_REFUND_PERCENT", ours.no_show_refund)?,
        })
    }

    /// What of `price` is given back when a booking that begins at `start` is cancelled `at` that moment: all of it, or
    /// what the fee, rounded to the coin, leaves.
    pub fn refund(&self, price: Money, start: Timestamp, at: Timestamp) -> Money {
        if at <= start - TimeDelta::minutes(self.free_cancellation.get()) {
            return price;
        }
        Money::new(price.amount() - self.late_fee.of(price).amount(), price.currency())
    }
}

fn told<T: FromStr<Err = &'static str>>(name: &str, otherwise: T) -> Result<T, Failure> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text.parse().map_err(|why| Failure::fault(format!("{name} {why}"))),
        _ => Ok(otherwise),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn eur(amount: &str) -> Money {
        Money::new(amount.parse().unwrap(), "EUR".parse().unwrap())
    }

    #[test]
    fn an_hour_before_is_free_and_later_costs_half() {
        let (policy, start) = (Policy::default(), at("2026-11-21T10:00:00Z"));
        let refund = |price: &str, when: &str| policy.refund(eur(price), start, at(when)).to_string();
        assert_eq!(refund("2.50", "2026-11-21T09:00:00Z"), "2.50 EUR");
        assert_eq!(refund("2.50", "2026-11-21T09:00:00.001Z"), "1.25 EUR");
        // Half of an odd coin: the fee is rounded, and the rest is what comes back.
        assert_eq!(refund("0.99", "2026-11-21T09:59:59Z"), "0.49 EUR");
        assert_eq!(refund("0.01", "2026-11-21T09:59:59Z"), "0.00 EUR");
    }

    #[test]
    fn a_setting_is_a_number_within_its_bounds() {
        assert_eq!("100".parse(), Ok(Percent(100)));
        assert_eq!("0".parse(), Ok(WholeMinutes(0)));
        for text in ["", "-1", "101", "1.5", "ten"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
        for text in ["", "-1", "10081", "1h"] {
            assert!(text.parse::<WholeMinutes>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_back_and_what_is_kept_are_the_price(
            coins in 0i64..1_000_000, currency in prop::sample::select(&["EUR", "JPY", "KWD"][..]),
            free in 0u16..=10_080, fee in 0u8..=100, early in -20_000i64..20_000, later in 0i64..20_000,
        ) {
            let currency: shared::Currency = currency.parse().unwrap();
            let price = Money::new(Decimal::new(coins, currency.minor_digits()), currency);
            let policy = Policy { free_cancellation: WholeMinutes(free), late_fee: Percent(fee), ..Policy::default() };
            let start = at("2026-11-21T10:00:00Z");
            let before = |minutes: i64| policy.refund(price, start, start - TimeDelta::minutes(minutes)).amount();

            let (sooner, later) = (before(early + later), before(early));
            prop_assert!(Decimal::ZERO <= later && later <= sooner && sooner <= price.amount());
            for refund in [sooner, later] {
                let kept = price.amount() - refund;
                prop_assert!(kept.is_zero() || kept == policy.late_fee.of(price).amount());
                prop_assert_eq!(refund, Money::new(refund, currency).rounded().amount());
            }
        }
    }
}
