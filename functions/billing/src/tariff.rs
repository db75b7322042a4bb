//! What a session costs. Exact until the end: the total is rounded once, to the smallest coin of its currency,
//! halves away from zero.

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde::Deserialize;
use shared::{Currency, EnergyKwh, Money, MoneyError};
use uuid::Uuid;

/// Which line of the price list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct TariffId(pub Uuid);

/// One line of the price list. No price is negative (the table sees to it).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tariff {
    /// Its id, named by the invoices it made.
    pub id: TariffId,
    /// Of all its prices.
    pub currency: Currency,
    /// For each kilowatt-hour.
    pub per_kwh: Decimal,
    /// For each minute at the connector, by the millisecond.
    pub per_minute: Decimal,
    /// Once a session.
    pub start_fee: Decimal,
}

impl Tariff {
    /// The price of a session; fails only beyond what a decimal holds.
    pub fn cost(&self, energy: EnergyKwh, duration: TimeDelta) -> Result<Money, MoneyError> {
        let milliseconds = Decimal::from(duration.num_milliseconds().max(0));
        let total = || {
            let for_energy = self.per_kwh.checked_mul(energy.0)?;
            let for_time = self.per_minute.checked_mul(milliseconds)?.checked_div(Decimal::from(60_000))?;
            self.start_fee.checked_add(for_energy)?.checked_add(for_time)
        };
        Ok(Money::new(total().ok_or(MoneyError::Overflow)?, self.currency).rounded())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn tariff(per_kwh: &str, per_minute: &str, start_fee: &str, currency: &str) -> Tariff {
        Tariff {
            id: TariffId(Uuid::nil()),
            currency: currency.parse().unwrap(),
            per_kwh: per_kwh.parse().unwrap(),
            per_minute: per_minute.parse().unwrap(),
            start_fee: start_fee.parse().unwrap(),
        }
    }

    fn kwh(text: &str) -> EnergyKwh {
        EnergyKwh(text.parse().unwrap())
    }

    #[test]
    fn energy_time_and_start_add_up() {
        let tariff = tariff("0.49", "0.05", "0.35", "EUR");
        // 22.4 × 0.49 + 58 × 0.05 + 0.35
        assert_eq!(tariff.cost(kwh("22.4"), TimeDelta::minutes(58)).unwrap().to_string(), "14.23 EUR");
    }

    #[test]
    fn the_total_is_rounded_once_halves_away_from_zero() {
        // 0.0025 + 0.0025 is half a cent only when nothing was rounded before.
        let cents = tariff("0.0025", "0.0025", "0", "EUR");
        assert_eq!(cents.cost(kwh("1"), TimeDelta::minutes(1)).unwrap().to_string(), "0.01 EUR");
        let yen = tariff("0.5", "0", "0", "JPY");
        assert_eq!(yen.cost(kwh("1"), TimeDelta::zero()).unwrap().to_string(), "1 JPY");
    }

    #[test]
    fn a_clock_that_went_back_costs_nothing() {
        let tariff = tariff("0", "1", "0", "EUR");
        assert_eq!(tariff.cost(kwh("0"), TimeDelta::minutes(-5)).unwrap().to_string(), "0.00 EUR");
    }

    #[test]
    fn a_price_beyond_a_decimal_is_refused() {
        let dear = Tariff { per_kwh: Decimal::MAX, ..tariff("0", "0", "0", "EUR") };
        assert_eq!(dear.cost(kwh("2"), TimeDelta::zero()), Err(MoneyError::Overflow));
    }

    prop_compose! {
        fn any_tariff()(per_kwh in 0i64..10_000_000, per_minute in 0i64..10_000_000, start_fee in 0i64..10_000_000,
                        currency in prop_oneof![Just("EUR"), Just("JPY"), Just("KWD")]) -> Tariff {
            Tariff {
                id: TariffId(Uuid::nil()),
                currency: currency.parse().unwrap(),
                per_kwh: Decimal::new(per_kwh, 6),
                per_minute: Decimal::new(per_minute, 6),
                start_fee: Decimal::new(start_fee, 6),
            }
        }
    }

    proptest! {
        #[test]
        fn more_energy_or_more_time_never_costs_less(
            tariff in any_tariff(), energy in 0i64..10_000_000, more_energy in 0i64..10_000_000,
            seconds in 0i64..1_000_000, more_seconds in 0i64..1_000_000,
        ) {
            let cost = |energy: i64, seconds: i64| {
                tariff.cost(EnergyKwh(Decimal::new(energy, 4)), TimeDelta::seconds(seconds)).unwrap().amount()
            };
            let base = cost(energy, seconds);
            prop_assert!(base >= Decimal::ZERO);
            prop_assert!(cost(energy + more_energy, seconds) >= base);
            prop_assert!(cost(energy, seconds + more_seconds) >= base);
        }

        #[test]
        fn without_energy_and_time_the_start_fee_is_due(tariff in any_tariff()) {
            let cost = tariff.cost(EnergyKwh::default(), TimeDelta::zero()).unwrap();
            prop_assert_eq!(cost, Money::new(tariff.start_fee, tariff.currency).rounded());
        }

        #[test]
        fn rounding_moves_a_total_by_half_a_coin_at_most(
            tariff in any_tariff(), energy in 0i64..10_000_000, seconds in 0i64..1_000_000,
        ) {
            let (energy, minutes) = (Decimal::new(energy, 4), Decimal::from(seconds) / Decimal::from(60));
            let exact = tariff.start_fee + tariff.per_kwh * energy + tariff.per_minute * minutes;
            let cost = tariff.cost(EnergyKwh(energy), TimeDelta::seconds(seconds)).unwrap();
            let coin = Decimal::new(1, tariff.currency.minor_digits());
            prop_assert!((cost.amount() - exact).abs() <= coin / Decimal::TWO + Decimal::new(1, 20));
            prop_assert_eq!(cost.amount().scale(), tariff.currency.minor_digits());
        }
    }
}
