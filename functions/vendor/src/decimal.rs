//! Readings and costs as vendors write them, JSON numbers or text, read digit by digit: no float is ever between.

use rust_decimal::Decimal;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// More than any meter counts in its life, and than any session costs.
const MOST: Decimal = Decimal::from_parts(10_000_000, 0, 0, false, 0);
const MOST_DECIMALS: u32 = 6;
/// Longer than any number that makes sense.
const LONGEST: usize = 40;

/// Kilowatt-hours on a meter: 0 to 10,000,000, at most six decimals. Text on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeterKwh(#[serde(deserialize_with = "exact")] pub Decimal);

/// What a vendor says a session costs, in no currency that it tells: 0 to 10,000,000, at most six decimals. Text on the
/// wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost(#[serde(deserialize_with = "exact")] pub Decimal);

fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    parse(raw.get()).map_err(D::Error::custom)
}

/// `json` is a whole JSON value.
fn parse(json: &str) -> Result<Decimal, &'static str> {
    const NO_NUMBER: &str = "must be a number";
    if json.len() > LONGEST {
        return Err("must be a number of at most 40 characters");
    }
    let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    let (number, has_exponent) = if text.contains(['e', 'E']) {
        (Decimal::from_scientific(text), true)
    } else {
        (text.parse(), false)
    };
    // What the parser takes beyond JSON's numbers: separators, a leading plus.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte)) || has_exponent;
    let number = number.ok().filter(|_| is_number && !text.contains('_')).ok_or(NO_NUMBER)?;
    let number = number.normalize();
    if number < Decimal::ZERO || number > MOST {
        Err("must be 0 to 10000000")
    } else if number.scale() > MOST_DECIMALS {
        Err("must have at most 6 decimals")
    } else {
        Ok(number.abs())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(json: &str) -> Option<String> {
        let direct = serde_json::from_str::<MeterKwh>(json).ok();
        let text = direct.map(|MeterKwh(number)| number.to_string());
        // The queue has it as text.
        let queued = direct.map(|number| serde_json::to_value(number).unwrap());
        assert_eq!(queued, text.clone().map(Value::String));
        if let Some(queued) = queued {
            assert_eq!(serde_json::from_value::<MeterKwh>(queued).ok(), direct);
        }
        text
    }

    #[test]
    fn a_number_is_read_as_it_is_written() {
        for (json, number) in [
            ("25.5", "25.5"),
            (r#""25.5""#, "25.5"),
            ("0", "0"),
            ("-0.0", "0"),
            ("0.10", "0.1"),
            ("1e2", "100"),
            ("2.55E1", "25.5"),
            ("9999999.999999", "9999999.999999"),
            ("10000000", "10000000"),
        ] {
            assert_eq!(read(json).as_deref(), Some(number), "{json}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for json in [
            "-1",
            "-0.000001",
            "10000000.000001",
            "1e8",
            "1e999",
            "1e-999999999",
            "0.1234567",
            "null",
            "true",
            "[]",
            "{}",
            r#""""#,
            r#"" 1""#,
            r#""1_000""#,
            r#""+1""#,
            r#""1,5""#,
            r#""0x10""#,
            r#""NaN""#,
            r#""1e""#,
            "0.0000000000000000000000000000000000000001",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
        assert!(serde_json::from_value::<Cost>(json!(-1)).is_err());
    }

    proptest! {
        #[test]
        fn no_digit_is_lost(whole in 0u64..10_000_000, fraction in 0u32..1_000_000) {
            let written = format!("{whole}.{fraction:06}");
            let expected = written.parse::<Decimal>().unwrap().normalize().to_string();
            prop_assert_eq!(read(&written), Some(expected.clone()));
            prop_assert_eq!(read(&format!("\"{written}\"")), Some(expected));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,45}") {
            let _ = parse(&text);
        }
    }
}
