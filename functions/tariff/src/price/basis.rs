//! By what a session is priced: a tariff, or a flat rate that covers it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use shared::{Currency, EnergyKwh, PlanId, StationId, SubscriptionPeriodId, TariffId, Timestamp};

use super::{Band, TimeZone};

/// One line of the price list, as `tariff_document` of migration 0007 gives it; GraphQL `Tariff`. All prices include
/// VAT and none is negative (the table sees to it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tariff {
    /// Its id, named by sessions and invoices.
    pub id: TariffId,
    /// The only station that it is for.
    pub station_id: Option<StationId>,
    /// The operator whose stations it is for.
    pub operator: Option<String>,
    /// Of all its prices.
    pub currency: Currency,
    /// For each kilowatt-hour outside the bands.
    #[serde(rename = "perKWh")]
    pub per_kwh: Decimal,
    /// For each minute outside the bands, by the millisecond.
    pub per_minute: Decimal,
    /// Once a session.
    pub start_fee: Decimal,
    /// For each minute of idle time, instead of any other price of time.
    pub idle_per_minute: Decimal,
    /// Minutes after the last energy that are no idle time yet.
    pub idle_grace_minutes: u32,
    /// The least that a session costs, if it costs anything.
    pub minimum: Decimal,
    /// What a booking costs beside; no part of a session's price.
    #[serde(default)]
    pub booking_fee: Decimal,
    /// Share of the net price: 0.19.
    pub vat_rate: Decimal,
    /// In which the bands are meant.
    pub time_zone: TimeZone,
    /// Other prices at certain times; the first that fits holds.
    pub bands: Vec<Band>,
    /// It bills sessions that start then or later …
    pub valid_from: Timestamp,
    /// … and before this.
    pub valid_to: Option<Timestamp>,
}

/// What a driver's flat rate still covers, as `subscription_coverage` of migration 0008 gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// The month that energy is counted against.
    pub period_id: SubscriptionPeriodId,
    /// The flat rate.
    pub plan_id: PlanId,
    /// Its name.
    pub plan_name: String,
    /// Of its price.
    pub currency: Currency,
    /// For each kilowatt-hour beyond the fair use; includes VAT.
    pub per_kwh_beyond: Decimal,
    /// Share of the net price: 0.19.
    pub vat_rate: Decimal,
    /// What is left of the period's fair use; nothing if below zero.
    pub remaining_kwh: EnergyKwh,
}

/// By what a session is priced.
#[derive(Debug, Clone, Copy)]
pub enum Basis<'a> {
    /// The tariff that held when it started.
    Tariff(&'a Tariff),
    /// The driver's flat rate.
    Plan(&'a Coverage),
}
