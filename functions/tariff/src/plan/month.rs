//! What a month of a flat rate costs and includes. Periods are calendar months in UTC. The first is paid for in
//! proportion to the days that are left of the month, the day on which it begins included, and includes energy in
//! the same proportion, rounded to four decimals.

use chrono::{Datelike, Months, NaiveTime, TimeDelta};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};
use shared::{EnergyKwh, MoneyError, Timestamp};

use super::Plan;
use crate::price::{Item, Price, Unit, exact};

/// Decimals of energy, as metered.
const ENERGY_DIGITS: u32 = 4;

/// A calendar month in UTC, or what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Month {
    pub(crate) starts_at: Timestamp,
    /// The first moment of the next month.
    pub(crate) ends_at: Timestamp,
    /// Days that it has, the begun one included.
    days: i64,
    /// Days that the whole month has.
    of_days: i64,
}

impl Month {
    /// From this moment to the end of its month.
    pub(crate) fn beginning(starts_at: Timestamp) -> Self {
        let day = starts_at.date_naive();
        let first = day - TimeDelta::days(i64::from(day.day0()));
        let next = first + Months::new(1);
        Self {
            starts_at,
            ends_at: next.and_time(NaiveTime::MIN).and_utc(),
            days: (next - day).num_days(),
            of_days: (next - first).num_days(),
        }
    }

    fn share_of(&self, whole: Decimal) -> Result<Decimal, MoneyError> {
        let share =
            whole.checked_mul(self.days.into()).and_then(|days| days.checked_div(self.of_days.into()));
        share.ok_or(MoneyError::Overflow)
    }

    pub(crate) fn included(&self, plan: &Plan) -> Result<EnergyKwh, MoneyError> {
        let share = self.share_of(plan.fair_use.0)?;
        Ok(EnergyKwh(
            share.round_dp_with_strategy(ENERGY_DIGITS, RoundingStrategy::MidpointAwayFromZero).normalize(),
        ))
    }

    pub(crate) fn price(&self, plan: &Plan) -> Result<Price, MoneyError> {
        let monthly = plan.monthly_price.amount();
        let item = Item {
            description: self.description(plan),
            quantity: self.share_of(Decimal::ONE)?.round_dp(4).normalize(),
            unit: Unit::Month,
            unit_price: Some(monthly),
            amount: exact(self.share_of(monthly)?),
        };
        Price::of(vec![item], plan.monthly_price.currency(), plan.vat_rate, EnergyKwh::default())
    }

    /// `JUCR Flat, 2026-11-21 to 2026-11-30`.
    pub(crate) fn description(&self, plan: &Plan) -> String {
        let last_day = self.ends_at.date_naive() - TimeDelta::days(1);
        format!("{}, {} to {last_day}", plan.name, self.starts_at.date_naive())
    }

    /// As `begin_subscription_period` of migration 0008 reads it, without its id.
    pub(crate) fn fields(&self, plan: &Plan) -> Result<Value, MoneyError> {
        let included = self.included(plan)?.0.to_string();
        Ok(json!({ "startsAt": self.starts_at, "endsAt": self.ends_at, "includedKwh": included }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn plan(price: &str, fair_use: &str) -> Plan {
        serde_json::from_value(json!({
            "id": "018f4c6e-0000-7000-8000-000000000001", "name": "JUCR Flat",
            "monthlyPrice": { "amount": price, "currency": "EUR" }, "fairUseKWh": fair_use, "perKWhBeyond": "0.39",
            "vatRate": "0.19", "createdAt": "2026-01-01T00:00:00.000Z", "retiredAt": null,
        }))
        .unwrap()
    }

    fn told(at: &str, plan: &Plan) -> (String, String, String, String) {
        let month = Month::beginning(at.parse().unwrap());
        let price = month.price(plan).unwrap();
        let line = price.lines.first().unwrap();
        assert_eq!(line.amount, price.gross);
        (
            month.ends_at.date_naive().to_string(),
            price.gross.to_string(),
            month.included(plan).unwrap().to_string(),
            line.description.clone(),
        )
    }

    #[test]
    fn a_month_begun_late_is_paid_for_by_its_days_the_first_of_them_included() {
        let plan = plan("49.00", "300");
        // 10 of November's 30 days: the 21st to the 30th.
        let late = told("2026-11-21T12:00:00Z", &plan);
        assert_eq!(late.1, "16.33 EUR");
        assert_eq!((late.0.as_str(), late.2.as_str()), ("2026-12-01", "100 kWh"));
        assert_eq!(late.3, "JUCR Flat, 2026-11-21 to 2026-11-30");
        // The last moment of a month is its whole last day.
        assert_eq!(told("2026-11-30T23:59:59.999Z", &plan).1, "1.63 EUR");
        // 11 of 28 and of 29.
        assert_eq!(told("2026-02-18T00:00:00Z", &plan).2, "117.8571 kWh");
        assert_eq!(told("2028-02-19T00:00:00Z", &plan).2, "113.7931 kWh");
    }

    #[test]
    fn a_whole_month_costs_its_price_and_ends_where_the_next_begins() {
        let plan = plan("49.00", "300");
        let whole = told("2026-12-01T00:00:00Z", &plan);
        assert_eq!(
            (whole.0.as_str(), whole.1.as_str(), whole.2.as_str()),
            ("2027-01-01", "49.00 EUR", "300 kWh")
        );
        // A calendar month is UTC's: in Berlin this is the first of December already.
        assert_eq!(told("2026-12-01T00:30:00+01:00", &plan).1, "1.63 EUR");
    }

    proptest! {
        #[test]
        fn the_days_of_a_month_cost_no_more_than_the_month(
            price in 0i64..1_000_000, fair_use in 0i64..100_000_000, second in 0i64..2_000_000_000,
        ) {
            let plan = plan(&Decimal::new(price, 2).to_string(), &Decimal::new(fair_use, 4).to_string());
            let month = Month::beginning(chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap());
            let cost = month.price(&plan).unwrap();
            prop_assert!(cost.gross.amount() <= plan.monthly_price.amount());
            prop_assert!(month.included(&plan).unwrap() <= plan.fair_use);
            prop_assert_eq!(cost.net.amount() + cost.vat.amount(), cost.gross.amount());
            prop_assert!(month.starts_at < month.ends_at && month.ends_at - month.starts_at <= TimeDelta::days(31));
        }
    }
}
