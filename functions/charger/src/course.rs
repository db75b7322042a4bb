//! What a meter said over time: the register, and the power and the battery's state told beside it. For the course of a
//! session; its sum is [`crate::meter`]'s.

use std::collections::BTreeMap;
use std::str::FromStr;

use ocpp_kit::types::DateTime;
use ocpp_kit::{v1_6, v2_0_1};
use rust_decimal::Decimal;
use session::MeterReading;
use shared::Timestamp;

use crate::clock::told_time;
use crate::meter::{Reading, readings_v16, readings_v201, scaled};

/// Readings taken from one report; of more, these are spread over all.
const MOST: usize = 500;
/// More than any charger has, in kW.
const IMPLAUSIBLE_KW: i64 = 10_000;

/// The readings of OCPP 1.6 meter values. One without the register is none; nor is one of a clock that cannot be right,
/// since it would be somewhere else each time it is told.
pub(crate) fn course_v16(
    values: &[v1_6::MeterValue],
    received_at: Timestamp,
) -> impl Iterator<Item = MeterReading> {
    values.iter().filter_map(move |value| {
        let register = readings_v16(std::slice::from_ref(value)).max_by_key(|reading| reading.energy)?;
        let reading = at(value.timestamp, register, received_at)?;
        let power_kw = value.sampled_value.iter().filter_map(|sample| {
            let is_power = sample.measurand == Some(v1_6::Measurand::PowerActiveImport);
            let is_whole = sample.phase.is_none() && sample.location != Some(v1_6::Location::EV);
            let unit = sample.unit.as_ref().map_or("W", |unit| unit.as_str());
            if is_power && is_whole { kilowatts(number(sample)?, unit, 0) } else { None }
        });
        let soc = value.sampled_value.iter().filter_map(|sample| {
            if sample.measurand == Some(v1_6::Measurand::SoC) { percent(number(sample)?) } else { None }
        });
        Some(MeterReading { power_kw: power_kw.max(), soc: soc.max(), ..reading })
    })
}

fn number(sample: &v1_6::SampledValue) -> Option<Decimal> {
    Decimal::from_str(sample.value.trim()).ok()
}

/// The readings of OCPP 2.0.1 meter values, as those of 1.6.
pub(crate) fn course_v201(
    values: &[v2_0_1::MeterValue],
    received_at: Timestamp,
) -> impl Iterator<Item = MeterReading> {
    values.iter().filter_map(move |value| {
        let register = readings_v201(std::slice::from_ref(value)).max_by_key(|reading| reading.energy)?;
        let reading = at(value.timestamp, register, received_at)?;
        let number = |sample: &v2_0_1::SampledValue| {
            let (digits, scale) = (sample.value.mantissa().into(), sample.value.scale().into());
            Decimal::try_from_i128_with_scale(digits, scale).ok()
        };
        let power_kw = value.sampled_value.iter().filter_map(|sample| {
            let is_power = sample.measurand == Some(v2_0_1::Measurand::PowerActiveImport);
            let is_whole = sample.phase.is_none() && sample.location != Some(v2_0_1::Location::EV);
            let unit = sample.unit_of_measure.as_ref();
            let name = unit.and_then(|unit| unit.unit.as_deref()).unwrap_or("W");
            let multiplier = unit.and_then(|unit| unit.multiplier).unwrap_or(0);
            if is_power && is_whole { kilowatts(number(sample)?, name, multiplier) } else { None }
        });
        let soc = value.sampled_value.iter().filter_map(|sample| {
            if sample.measurand == Some(v2_0_1::Measurand::SoC) { percent(number(sample)?) } else { None }
        });
        Some(MeterReading { power_kw: power_kw.max(), soc: soc.max(), ..reading })
    })
}

/// A register's reading at a moment; none of a clock that cannot be right.
pub(crate) fn at(moment: DateTime, register: Reading, received_at: Timestamp) -> Option<MeterReading> {
    let at = told_time(moment, received_at)?;
    Some(MeterReading { at, register_wh: register.energy, power_kw: None, soc: None })
}

/// In order, each moment once: of what is told twice the larger counts, whichever comes first.
pub(crate) fn course(readings: impl IntoIterator<Item = MeterReading>) -> Vec<MeterReading> {
    let mut by_time = BTreeMap::<Timestamp, MeterReading>::new();
    for reading in readings {
        let kept = by_time.entry(reading.at).or_insert(reading);
        kept.register_wh = kept.register_wh.max(reading.register_wh);
        kept.power_kw = kept.power_kw.max(reading.power_kw);
        kept.soc = kept.soc.max(reading.soc);
    }
    let step = by_time.len().div_ceil(MOST - 1).max(1);
    let last = by_time.len().saturating_sub(1);
    let spread = by_time.into_values().enumerate().filter(|(place, _)| place % step == 0 || *place == last);
    spread.map(|(_, reading)| reading).collect()
}

fn kilowatts(value: Decimal, unit: &str, multiplier: i32) -> Option<Decimal> {
    let kilo = match unit {
        "W" => -3,
        "kW" => 0,
        _ => return None,
    };
    let power = scaled(value, multiplier.checked_add(kilo)?)?;
    let fits = !power.is_sign_negative() && power <= Decimal::from(IMPLAUSIBLE_KW);
    fits.then(|| power.round_dp(3).normalize())
}

fn percent(value: Decimal) -> Option<Decimal> {
    let fits = !value.is_sign_negative() && value <= Decimal::ONE_HUNDRED;
    fits.then(|| value.round_dp(2).normalize())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use ocpp_kit::decode::{DecodeOptions, decode_payload};
    use proptest::prelude::*;
    use serde_json::{Value, json, value::to_raw_value};
    use shared::EnergyWh;

    const AT: &str = "2026-02-21T14:00:00.000Z";

    fn received_at() -> Timestamp {
        "2026-02-21T14:00:09Z".parse().unwrap()
    }

    fn v16(at: &str, samples: &Value) -> Vec<Value> {
        let request = json!({"connectorId": 1, "meterValue": [{"timestamp": at, "sampledValue": samples}]});
        let request: v1_6::MeterValuesRequest =
            decode_payload(&to_raw_value(&request).unwrap(), &DecodeOptions::pedantic()).unwrap();
        told(course_v16(&request.meter_value, received_at()))
    }

    fn v201(samples: &Value) -> Vec<Value> {
        let request = json!({"evseId": 1, "meterValue": [{"timestamp": AT, "sampledValue": samples}]});
        let request: v2_0_1::MeterValuesRequest =
            decode_payload(&to_raw_value(&request).unwrap(), &DecodeOptions::pedantic()).unwrap();
        told(course_v201(&request.meter_value, received_at()))
    }

    fn told(readings: impl Iterator<Item = MeterReading>) -> Vec<Value> {
        course(readings).into_iter().map(|reading| serde_json::to_value(reading).unwrap()).collect()
    }

    #[test]
    fn power_and_charge_are_told_with_the_register_in_one_unit() {
        let expected =
            [json!({"at": "2026-02-21T14:00:00Z", "registerWh": "1500", "powerKw": "7.36", "soc": "41.5"})];
        let samples = json!([
            {"value": "1.5", "unit": "kWh"},
            {"value": "7360", "measurand": "Power.Active.Import", "unit": "W"},
            {"value": "2453", "measurand": "Power.Active.Import", "unit": "W", "phase": "L1"},
            {"value": "41.5", "measurand": "SoC", "unit": "Percent", "location": "EV"},
            {"value": "230", "measurand": "Voltage", "unit": "V"},
        ]);
        assert_eq!(v16(AT, &samples), expected);
        let samples = json!([
            {"value": 1500},
            {"value": 7.36, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "kW"}},
            {"value": 41.5, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}, "location": "EV"},
        ]);
        assert_eq!(v201(&samples), expected);
        let samples = json!([
            {"value": 1500},
            {"value": 736, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W", "multiplier": 1}},
            {"value": 41.5, "measurand": "SoC"},
        ]);
        assert_eq!(v201(&samples), expected);
    }

    #[test]
    fn what_is_absurd_is_left_out_and_without_a_register_there_is_no_reading() {
        let samples = json!([
            {"value": "1500"},
            {"value": "1e30", "measurand": "Power.Active.Import"},
            {"value": "-5", "measurand": "Power.Active.Import"},
            {"value": "5", "measurand": "Power.Active.Import", "unit": "A"},
            {"value": "101", "measurand": "SoC"},
        ]);
        let expected =
            json!({"at": "2026-02-21T14:00:00Z", "registerWh": "1500", "powerKw": null, "soc": null});
        assert_eq!(v16(AT, &samples), [expected]);
        assert!(v16(AT, &json!([{"value": "50", "measurand": "SoC"}])).is_empty());
        for unset_or_ahead in ["1970-01-01T00:00:07Z", "2026-02-21T15:00:00Z"] {
            assert!(v16(unset_or_ahead, &json!([{"value": "1500"}])).is_empty());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_course_is_the_same_in_any_order_and_bounded(
            told in proptest::collection::vec((0_i64..2000, 0_i64..100, proptest::option::of(0_i64..100)), 1..1500),
        ) {
            let readings: Vec<_> = told.iter().map(|(second, energy, soc)| MeterReading {
                at: received_at() + chrono::TimeDelta::seconds(*second),
                register_wh: EnergyWh((*energy).into()),
                power_kw: None,
                soc: soc.map(Decimal::from),
            }).collect();
            let forth = course(readings.iter().copied());
            let back = course(readings.iter().rev().copied());
            prop_assert_eq!(&forth, &back);
            prop_assert!((1..=MOST).contains(&forth.len()));
            prop_assert!(forth.windows(2).all(|pair| pair[0].at < pair[1].at));
            let last = readings.iter().map(|reading| reading.at).max();
            prop_assert_eq!(forth.last().map(|reading| reading.at), last);
        }
    }
}
