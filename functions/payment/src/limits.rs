//! What a card can be charged: the provider's smallest units and least amounts. Where a currency is not listed, the
//! unit is a hundredth and the provider itself refuses what is too little.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use shared::Money;

/// A currency's: its digits in the provider's API, the step between amounts, the least amount if it is known.
type Limits = (&'static str, u32, &'static str, Option<&'static str>);

/// <https://docs.stripe.com/currencies>: zero-decimal and three-decimal currencies (these in steps of ten), special cases
/// (written with two decimals that must be zero), minimum charge amounts.
const LIMITS: &[Limits] = &[
    ("AED", 2, "0.01", Some("2.00")),
    ("AUD", 2, "0.01", Some("0.50")),
    ("BGN", 2, "0.01", Some("1.00")),
    ("BHD", 3, "0.01", None),
    ("BIF", 0, "1", None),
    ("BRL", 2, "0.01", Some("0.50")),
    ("CAD", 2, "0.01", Some("0.50")),
    ("CHF", 2, "0.01", Some("0.50")),
    ("CLP", 0, "1", None),
    ("CZK", 2, "0.01", Some("15.00")),
    ("DJF", 0, "1", None),
    ("DKK", 2, "0.01", Some("2.50")),
    ("EUR", 2, "0.01", Some("0.50")),
    ("GBP", 2, "0.01", Some("0.30")),
    ("GNF", 0, "1", None),
    ("HKD", 2, "0.01", Some("4.00")),
    ("HUF", 2, "0.01", Some("175.00")),
    ("INR", 2, "0.01", Some("0.50")),
    ("ISK", 2, "1", None),
    ("JOD", 3, "0.01", None),
    ("JPY", 0, "1", Some("50")),
    ("KMF", 0, "1", None),
    ("KRW", 0, "1", None),
    ("KWD", 3, "0.01", None),
    ("MGA", 0, "1", None),
    ("MXN", 2, "0.01", Some("10.00")),
    ("MYR", 2, "0.01", Some("2.00")),
    ("NOK", 2, "0.01", Some("3.00")),
    ("NZD", 2, "0.01", Some("0.50")),
    ("OMR", 3, "0.01", None),
    ("PLN", 2, "0.01", Some("2.00")),
    ("PYG", 0, "1", None),
    ("RON", 2, "0.01", Some("2.00")),
    ("RWF", 0, "1", None),
    ("SEK", 2, "0.01", Some("3.00")),
    ("SGD", 2, "0.01", Some("0.50")),
    ("THB", 2, "0.01", Some("10.00")),
    ("TND", 3, "0.01", None),
    ("UGX", 2, "1", None),
    ("USD", 2, "0.01", Some("0.50")),
    ("VND", 0, "1", None),
    ("VUV", 0, "1", None),
    ("XAF", 0, "1", None),
    ("XOF", 0, "1", None),
    ("XPF", 0, "1", None),
];

/// What cards can be charged, by currency: `{"EUR": {"minimum": "0.50", "step": "0.01"}}`, as `begin_payment` and
/// `confirm_booking` take it.
pub fn limits() -> Value {
    let of = |(code, _, step, minimum): &Limits| {
        let mut limits = json!({ "step": step });
        if let Some(minimum) = minimum {
            limits["minimum"] = json!(minimum);
        }
        ((*code).to_owned(), limits)
    };
    Value::Object(LIMITS.iter().map(of).collect::<Map<_, _>>())
}

/// The amount in the provider's smallest units; none where it has a fraction of one, or is beyond measure.
pub(crate) fn smallest_units(money: Money) -> Option<i64> {
    let digits =
        LIMITS.iter().find(|(code, ..)| *code == money.currency().code()).map_or(2, |limits| limits.1);
    let units = money.amount().checked_mul(Decimal::from(10_u32.pow(digits)))?;
    if units.fract().is_zero() { i64::try_from(units.normalize()).ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn units(amount: &str, currency: &str) -> Option<i64> {
        smallest_units(Money::new(amount.parse().unwrap(), currency.parse().unwrap()))
    }

    #[test]
    fn the_smallest_units_are_the_providers() {
        assert_eq!(units("12.5000", "EUR"), Some(1250));
        assert_eq!(units("500", "JPY"), Some(500));
        assert_eq!(units("5", "ISK"), Some(500));
        assert_eq!(units("5.120", "KWD"), Some(5120));
        assert_eq!(units("0.50", "ZAR"), Some(50));
        assert_eq!(units("0.005", "EUR"), None);
        assert_eq!(units("0.5", "JPY"), None);
        assert_eq!(units("79228162514264337593543950335", "EUR"), None);
    }

    #[test]
    fn every_least_amount_is_a_whole_number_of_steps_and_units() {
        for (code, _, step, minimum) in LIMITS {
            let step: Decimal = step.parse().unwrap();
            assert!(units(&step.to_string(), code).is_some(), "{code}");
            if let Some(minimum) = minimum {
                assert!((minimum.parse::<Decimal>().unwrap() % step).is_zero(), "{code}");
            }
        }
        assert_eq!(limits()["EUR"], json!({ "step": "0.01", "minimum": "0.50" }));
    }

    proptest! {
        #[test]
        fn what_is_charged_is_what_is_owed(cents in 1i64..1_000_000_000) {
            let owed = Decimal::new(cents, 2);
            prop_assert_eq!(units(&owed.to_string(), "EUR"), Some(cents));
        }
    }
}
