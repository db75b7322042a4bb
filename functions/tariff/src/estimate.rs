//! What a charge would cost, by the same code and the same facts as its bill.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use shared::{Caller, Database, EnergyKwh, Failure, Money, PlanId, StationId, TariffId, Timestamp};

use crate::input::{Kwh, Minutes, Moment};
use crate::price::{Basis, Coverage, Line, Reading, Tariff, Usage, price};
use crate::store;

/// Arguments of `Query.estimateCost`.
#[derive(Debug, Deserialize)]
pub struct EstimateCost {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    station_id: StationId,
    #[serde(rename = "energyKWh")]
    energy: Kwh,
    duration_minutes: Minutes,
    idle_minutes: Option<Minutes>,
    start_time: Option<Moment>,
}

/// GraphQL `CostEstimate`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostEstimate {
    /// With VAT.
    pub total: Money,
    /// Without.
    pub net: Money,
    /// The VAT in it.
    pub vat: Money,
    /// They add up to the total.
    pub lines: Vec<Line>,
    /// By which it was worked out.
    pub tariff_id: Option<TariffId>,
    /// Or the flat rate that covers it.
    pub plan_id: Option<PlanId>,
}

/// By what a driver's session would be billed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terms {
    pub(crate) station_exists: bool,
    pub(crate) tariff: Option<Tariff>,
    pub(crate) coverage: Option<Coverage>,
}

/// What a charge would cost the caller: by their flat rate, if one covers it, else by the station's tariff.
pub async fn estimate_cost(
    database: &Database,
    caller: &Caller,
    EstimateCost { input }: EstimateCost,
) -> Result<CostEstimate, Failure> {
    let driver = caller.user()?.id;
    let usage = input.usage(caller.at);
    let terms = store::terms(database, input.station_id, driver, usage.started_at).await?;
    terms.estimate(&usage)
}

impl Input {
    fn usage(&self, now: Timestamp) -> Usage {
        let started_at = self.start_time.map_or(now, |moment| moment.0);
        let minutes = |count: Minutes| TimeDelta::minutes(i64::from(count.0));
        let charged_at = started_at + minutes(self.duration_minutes);
        let ended_at = charged_at + minutes(self.idle_minutes.unwrap_or_default());
        let energy = EnergyKwh(self.energy.0);
        // As a meter would tell that energy stopped flowing before the session ended.
        let readings =
            if ended_at > charged_at { vec![Reading { at: charged_at, energy }] } else { Vec::new() };
        Usage { started_at, ended_at, energy, readings }
    }
}

impl Terms {
    fn estimate(&self, usage: &Usage) -> Result<CostEstimate, Failure> {
        if !self.station_exists {
            return Err(Failure::NotFound("station"));
        }
        let basis = match (&self.coverage, &self.tariff) {
            (Some(coverage), _) => Basis::Plan(coverage),
            (None, Some(tariff)) => Basis::Tariff(tariff),
            (None, None) => return Err(Failure::NotFound("tariff")),
        };
        let price = price(&basis, usage).map_err(|error| Failure::invalid("input", error.to_string()))?;
        let (tariff_id, plan_id) = match basis {
            Basis::Tariff(tariff) => (Some(tariff.id), None),
            Basis::Plan(coverage) => (None, Some(coverage.plan_id)),
        };
        Ok(CostEstimate {
            total: price.gross,
            net: price.net,
            vat: price.vat,
            lines: price.lines,
            tariff_id,
            plan_id,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use serde_json::{Value, json};

    use super::*;

    fn tariff() -> Value {
        json!({
            "id": "00000000-0000-4000-8000-000000000001", "stationId": null, "operator": null, "currency": "EUR",
            "perKWh": "0.49", "perMinute": "0.03", "startFee": "0.35", "idlePerMinute": "0.10", "idleGraceMinutes": 10,
            "minimum": "1", "vatRate": "0.19", "timeZone": "Europe/Berlin", "bands": [{
                "days": ["SATURDAY", "SUNDAY"], "from": "22:00", "to": "06:00", "perKWh": "0.29", "perMinute": "0",
            }],
            "validFrom": "2020-01-01T00:00:00.000Z", "validTo": null,
        })
    }

    fn terms(tariff: &Value, coverage: &Value) -> Terms {
        serde_json::from_value(json!({ "stationExists": true, "tariff": tariff, "coverage": coverage }))
            .unwrap()
    }

    fn input(changes: &Value) -> Result<Usage, Failure> {
        let mut input = json!({
            "stationId": "48f8fb15-814d-4e9d-97e1-d2caea2a162f", "energyKWh": "22.4", "durationMinutes": 58,
            "startTime": "2026-11-21T20:30:00.000Z",
        });
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let arguments: EstimateCost = shared::read_fields(json!({ "input": input }))?;
        Ok(arguments.input.usage("2026-11-21T12:00:00Z".parse().unwrap()))
    }

    proptest! {
        /// The bill knows the meter's readings, the estimate what a driver expects: the same charge costs the same.
        #[test]
        fn an_estimate_is_the_bill_of_what_it_foresees(
            energy in 5_000i64..1_000_000, minutes in 1i64..600, idle in 0i64..300, each in 1i64..30,
        ) {
            let energy = Decimal::new(energy, 4);
            let estimated = input(&json!({
                "energyKWh": energy.to_string(), "durationMinutes": minutes, "idleMinutes": idle,
            })).unwrap();
            let at = |minute: i64| Reading {
                at: estimated.started_at + TimeDelta::minutes(minute),
                energy: EnergyKwh(energy * Decimal::from(minute.min(minutes)) / Decimal::from(minutes)),
            };
            let mut readings: Vec<Reading> =
                (0..=minutes + idle).filter(|minute| minute % each == 0 || *minute == minutes).map(at).collect();
            readings.push(at(minutes + idle));
            let metered = Usage {
                started_at: estimated.started_at,
                ended_at: estimated.started_at + TimeDelta::minutes(minutes + idle),
                energy: EnergyKwh(energy),
                readings,
            };
            let terms = terms(&tariff(), &Value::Null);
            let bill = price(&Basis::Tariff(terms.tariff.as_ref().unwrap()), &metered).unwrap();
            let estimate = terms.estimate(&estimated).unwrap();
            prop_assert_eq!((estimate.total, estimate.net, estimate.vat), (bill.gross, bill.net, bill.vat));
            prop_assert_eq!(estimate.lines, bill.lines);
        }
    }

    #[test]
    fn a_flat_rate_goes_before_the_tariff() {
        let coverage = json!({
            "periodId": "018f4c6e-0000-7000-8000-000000000001", "planId": "018f4c6e-0000-7000-8000-000000000002",
            "planName": "JUCR Flat", "currency": "EUR", "perKwhBeyond": "0.39", "vatRate": "0.19",
            "remainingKwh": "20",
        });
        let estimate = terms(&tariff(), &coverage).estimate(&input(&json!({})).unwrap()).unwrap();
        assert_eq!(estimate.total.to_string(), "0.94 EUR");
        assert_eq!((estimate.tariff_id, estimate.plan_id.is_some()), (None, true));
        let estimate = terms(&tariff(), &Value::Null).estimate(&input(&json!({})).unwrap()).unwrap();
        assert_eq!((estimate.tariff_id.is_some(), estimate.plan_id), (true, None));
    }

    #[test]
    fn without_a_station_or_a_tariff_nothing_is_made_up() {
        let usage = input(&json!({})).unwrap();
        let failure = terms(&Value::Null, &Value::Null).estimate(&usage).unwrap_err();
        assert_eq!(failure.to_string(), "there is no such tariff");
        let nowhere = Terms { station_exists: false, ..terms(&tariff(), &Value::Null) };
        assert_eq!(nowhere.estimate(&usage).unwrap_err().to_string(), "there is no such station");
    }

    #[test]
    fn what_is_foreseen_is_bounded() {
        for (field, changes) in [
            ("input.energyKWh", json!({ "energyKWh": "-1" })),
            ("input.energyKWh", json!({ "energyKWh": 22.4 })),
            ("input.durationMinutes", json!({ "durationMinutes": 10_081 })),
            ("input.idleMinutes", json!({ "idleMinutes": -1 })),
            ("input.startTime", json!({ "startTime": "9999-12-31T00:00:00Z" })),
        ] {
            let failure = input(&changes).unwrap_err().to_string();
            assert!(failure.starts_with(&format!("{field}: ")), "{failure}");
        }
    }
}
