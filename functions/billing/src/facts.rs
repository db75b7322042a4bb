//! What a session's price depends on, as `bill_session` of migration 0011 tells and compares it.

use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use shared::{EnergyKwh, Failure, InvoiceId, StationId, TariffId, Timestamp, UserId};
use tariff::{Basis, Coverage, Reading, Tariff, Usage, price};
use uuid::Uuid;

/// How long an invoice may stay unpaid.
const DUE_AFTER: TimeDelta = TimeDelta::days(14);

/// What a session's price depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Whose session it is.
    pub user_id: UserId,
    /// Where it was.
    pub station_id: StationId,
    /// What flowed.
    #[serde(serialize_with = "as_text")]
    pub energy_kwh: EnergyKwh,
    /// When it began, by the charger's clock, to the millisecond.
    pub started_at: Timestamp,
    /// When it was over, likewise.
    pub ended_at: Timestamp,
    /// By which it is priced, unless a flat rate covers it.
    pub tariff_id: Option<TariffId>,
    /// The flat rate that covers it, a [`tariff::Coverage`] in the very words of the database.
    pub coverage: Option<Value>,
}

/// The exact decimal, not the nearest double.
fn as_text<S: Serializer>(energy: &EnergyKwh, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&energy.0)
}

/// An invoice that is right if the facts are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Priced {
    #[serde(flatten)]
    facts: Facts,
    #[serde(flatten)]
    invoice: Value,
}

impl Priced {
    /// Works out the invoice of a session: by the flat rate that covers it, else by `tariff`. `readings` may be empty
    /// where they make no difference (see `needs_readings`).
    pub fn new(
        facts: Facts,
        tariff: Option<&Tariff>,
        readings: Vec<Reading>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let coverage =
            facts.coverage.as_ref().map(Coverage::deserialize).transpose().map_err(Failure::fault)?;
        let basis = match (&coverage, tariff) {
            (Some(coverage), _) => Basis::Plan(coverage),
            (None, Some(tariff)) => Basis::Tariff(tariff),
            (None, None) => return Err(Failure::conflict("NO_TARIFF", "no tariff was valid at its start")),
        };
        let usage = Usage {
            started_at: facts.started_at,
            ended_at: facts.ended_at,
            energy: facts.energy_kwh,
            readings,
        };
        let price =
            price(&basis, &usage).map_err(|error| Failure::conflict("PRICE_TOO_LARGE", error.to_string()))?;
        let mut invoice = price.invoice_fields();
        invoice["id"] = json!(InvoiceId::new());
        invoice["entryId"] = json!(Uuid::now_v7());
        invoice["planId"] = json!(coverage.as_ref().map(|coverage| coverage.plan_id));
        invoice["coveredKwh"] = json!(price.covered.0.to_string());
        invoice["dueDate"] = json!((now + DUE_AFTER).date_naive());
        Ok(Self { facts, invoice })
    }
}

/// Whether a price by this tariff depends on when the energy flowed.
pub(crate) fn needs_readings(tariff: &Tariff) -> bool {
    !tariff.bands.is_empty() || tariff.idle_per_minute > Decimal::ZERO
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn without_a_tariff_nothing_is_made_up() {
        let facts = Facts {
            user_id: UserId::new(),
            station_id: StationId::new(),
            energy_kwh: EnergyKwh::default(),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::UNIX_EPOCH,
            tariff_id: None,
            coverage: None,
        };
        let refused = Priced::new(facts, None, Vec::new(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!((refused.error_type(), refused.retryable()), ("Conflict", false));
    }
}
