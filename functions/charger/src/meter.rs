//! The energy register out of whatever a charger samples: exact, in watt-hours, of the whole outlet.

use std::str::FromStr;

use ocpp_kit::{v1_6, v2_0_1};
use rust_decimal::Decimal;
use shared::EnergyWh;
use tracing::warn;

/// Beyond any meter (10 GWh), and within what a session's energy can hold: such a reading is a defect, and bills nobody.
const IMPLAUSIBLE: i64 = 10_000_000_000;

/// One reading of the energy register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) energy: EnergyWh,
    /// Whether it was taken as the transaction began.
    pub(crate) at_begin: bool,
}

/// What one report says of the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Register {
    /// As the transaction began.
    pub(crate) start: Option<EnergyWh>,
    pub(crate) low: Option<EnergyWh>,
    pub(crate) high: Option<EnergyWh>,
}

impl Register {
    pub(crate) fn of(readings: impl IntoIterator<Item = Reading>) -> Self {
        readings.into_iter().fold(Self::default(), |register, Reading { energy, at_begin }| Self {
            start: register.start.or(at_begin.then_some(energy)),
            low: Some(register.low.map_or(energy, |low| low.min(energy))),
            high: Some(register.high.map_or(energy, |high| high.max(energy))),
        })
    }
}

/// A whole number of watt-hours, as OCPP 1.6 starts and stops with.
pub(crate) fn whole(watt_hours: i32, at_begin: bool) -> Option<Reading> {
    plausible(watt_hours.into()).map(|energy| Reading { energy, at_begin })
}

/// The register's readings among OCPP 1.6 samples.
pub(crate) fn readings_v16(values: &[v1_6::MeterValue]) -> impl Iterator<Item = Reading> {
    values.iter().flat_map(|value| &value.sampled_value).filter_map(|sample| {
        let is_register =
            sample.measurand.as_ref().is_none_or(|it| *it == v1_6::Measurand::EnergyActiveImportRegister);
        let is_raw = sample.format.as_ref().is_none_or(|it| *it == v1_6::ValueFormat::Raw);
        // One phase is not the whole, and the car's own meter is not the outlet's.
        let is_whole = sample.phase.is_none() && sample.location != Some(v1_6::Location::EV);
        if !(is_register && is_raw && is_whole) {
            return None;
        }
        let Ok(value) = Decimal::from_str(sample.value.trim()) else {
            warn!("a reading of the register that is no number");
            return None;
        };
        let unit = sample.unit.as_ref().map_or("Wh", |unit| unit.as_str());
        let at_begin = sample.context == Some(v1_6::ReadingContext::TransactionBegin);
        Some(Reading { energy: watt_hours(value, unit, 0)?, at_begin })
    })
}

/// The register's readings among OCPP 2.0.1 samples.
pub(crate) fn readings_v201(values: &[v2_0_1::MeterValue]) -> impl Iterator<Item = Reading> {
    values.iter().flat_map(|value| &value.sampled_value).filter_map(|sample| {
        let is_register =
            sample.measurand.as_ref().is_none_or(|it| *it == v2_0_1::Measurand::EnergyActiveImportRegister);
        let is_whole = sample.phase.is_none() && sample.location != Some(v2_0_1::Location::EV);
        if !(is_register && is_whole) {
            return None;
        }
        let value =
            Decimal::try_from_i128_with_scale(sample.value.mantissa().into(), sample.value.scale().into());
        let unit = sample.unit_of_measure.as_ref();
        let name = unit.and_then(|unit| unit.unit.as_deref()).unwrap_or("Wh");
        let multiplier = unit.and_then(|unit| unit.multiplier).unwrap_or(0);
        let at_begin = sample.context == Some(v2_0_1::ReadingContext::TransactionBegin);
        Some(Reading { energy: watt_hours(value.ok()?, name, multiplier)?, at_begin })
    })
}

/// `value` × 10^`multiplier` of `unit` in watt-hours; none for another unit or an implausible amount.
fn watt_hours(value: Decimal, unit: &str, multiplier: i32) -> Option<EnergyWh> {
    let kilo = match unit {
        "Wh" => 0,
        "kWh" => 3,
        _ => return None,
    };
    plausible(scaled(value, multiplier.checked_add(kilo)?)?)
}

/// `value` × 10^`exponent`; none beyond what a number can hold.
pub(crate) fn scaled(value: Decimal, exponent: i32) -> Option<Decimal> {
    let power = Decimal::from(10_i64.checked_pow(exponent.unsigned_abs())?);
    if exponent < 0 { value.checked_div(power) } else { value.checked_mul(power) }
}

fn plausible(energy: Decimal) -> Option<EnergyWh> {
    let fits = !energy.is_sign_negative() && energy < Decimal::from(IMPLAUSIBLE);
    if !fits {
        warn!("an implausible reading of the register");
    }
    fits.then_some(EnergyWh(energy.normalize()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use ocpp_kit::decode::{DecodeOptions, decode_payload};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn raw(value: &Value) -> Box<serde_json::value::RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    fn v16(samples: &Value) -> Register {
        let request = json!({"connectorId": 1, "meterValue": [{"timestamp": "2026-02-21T14:00:00Z", "sampledValue": samples}]});
        let request: v1_6::MeterValuesRequest =
            decode_payload(&raw(&request), &DecodeOptions::pedantic()).unwrap();
        Register::of(readings_v16(&request.meter_value))
    }

    fn v201(samples: &Value) -> Register {
        let request = json!({"evseId": 1, "meterValue": [{"timestamp": "2026-02-21T14:00:00Z", "sampledValue": samples}]});
        let request: v2_0_1::MeterValuesRequest =
            decode_payload(&raw(&request), &DecodeOptions::pedantic()).unwrap();
        Register::of(readings_v201(&request.meter_value))
    }

    fn wh(text: &str) -> Option<EnergyWh> {
        Some(EnergyWh(text.parse().unwrap()))
    }

    #[test]
    fn checklist_33_no_measurand_means_the_energy_register_in_watt_hours() {
        assert_eq!(v16(&json!([{"value": "1500"}])).high, wh("1500"));
        assert_eq!(v201(&json!([{"value": 1500.25}])).high, wh("1500.25"));
    }

    #[test]
    fn checklist_33_kilowatt_hours_are_converted_exactly() {
        let measurand = "Energy.Active.Import.Register";
        let sample = json!([{"value": "22.401", "measurand": measurand, "unit": "kWh"}]);
        assert_eq!(v16(&sample).high, wh("22401"));
        let sample = json!([{"value": 22.401, "measurand": measurand, "unitOfMeasure": {"unit": "kWh"}}]);
        assert_eq!(v201(&sample).high, wh("22401"));
        let sample = json!([{"value": 2240.1, "unitOfMeasure": {"multiplier": 1}}]);
        assert_eq!(v201(&sample).high, wh("22401"));
        let sample = json!([{"value": 22401000, "unitOfMeasure": {"unit": "kWh", "multiplier": -6}}]);
        assert_eq!(v201(&sample).high, wh("22401"));
    }

    #[test]
    fn checklist_34_both_spellings_of_celsius_are_accepted() {
        for unit in ["Celcius", "Celsius"] {
            let samples =
                json!([{"value": "41.5", "measurand": "Temperature", "unit": unit}, {"value": "7"}]);
            assert_eq!(v16(&samples).high, wh("7"));
        }
    }

    #[test]
    fn other_meters_phases_and_signed_records_are_not_the_register() {
        let samples = json!([
            {"value": "230", "measurand": "Voltage", "unit": "V"},
            {"value": "9000", "phase": "L1"},
            {"value": "8000", "location": "EV"},
            {"value": "AABB", "format": "SignedData"},
            {"value": "no number"},
            {"value": "-5"},
            {"value": "1e30"},
            {"value": "100000000000"},
            {"value": "5", "unit": "varh"},
        ]);
        assert_eq!(v16(&samples), Register::default());
    }

    #[test]
    fn the_reading_at_the_beginning_is_told_from_the_others() {
        let samples = json!([
            {"value": "120"},
            {"value": "100", "context": "Transaction.Begin"},
            {"value": "180", "context": "Transaction.End"},
        ]);
        assert_eq!(v16(&samples), Register { start: wh("100"), low: wh("100"), high: wh("180") });
        assert_eq!(whole(-1, true), None);
    }

    proptest! {
        #[test]
        fn a_register_spans_its_readings(readings in proptest::collection::vec(0_i32.., 1..20)) {
            let register = Register::of(readings.iter().filter_map(|value| whole(*value, false)));
            let (low, high) = (register.low.unwrap(), register.high.unwrap());
            prop_assert!(readings.iter().all(|value| (low.0..=high.0).contains(&Decimal::from(*value))));
        }
    }
}
