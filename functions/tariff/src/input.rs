//! Values as clients write them, read into types that refuse the others.

use chrono::Datelike;
use rust_decimal::Decimal;
use serde::Deserialize;
use shared::Timestamp;

/// A price of one thing: 0 to 9999.999999, as text.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct UnitPrice(pub(crate) Decimal);

impl TryFrom<String> for UnitPrice {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let price = plain(&text, 6).filter(|price| *price < Decimal::from(10_000));
        price
            .map(Self)
            .ok_or("must be a decimal below 10000 with up to 6 digits after the point, such as 0.49")
    }
}

/// Energy: 0 to 100000 kWh, as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Kwh(pub(crate) Decimal);

impl TryFrom<String> for Kwh {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let energy = plain(&text, 4).filter(|energy| *energy <= Decimal::from(100_000));
        energy
            .map(Self)
            .ok_or("must be a decimal up to 100000 with up to 4 digits after the point, such as 22.4")
    }
}

/// Share of a net price: 0 to 1, as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct VatRate(pub(crate) Decimal);

impl TryFrom<String> for VatRate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let rate = plain(&text, 4).filter(|rate| *rate <= Decimal::ONE);
        rate.map(Self).ok_or("must be a decimal up to 1 with up to 4 digits after the point, such as 0.19")
    }
}

/// Minutes: 0 to 10080, a week of them.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct Minutes(pub(crate) u32);

impl TryFrom<i64> for Minutes {
    type Error = &'static str;

    fn try_from(count: i64) -> Result<Self, Self::Error> {
        let minutes = u32::try_from(count).ok().filter(|count| *count <= 7 * 24 * 60);
        minutes.map(Self).ok_or("must be between 0 and 10080")
    }
}

/// A moment of the years 2000 to 2099.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Timestamp")]
pub(crate) struct Moment(pub(crate) Timestamp);

impl TryFrom<Timestamp> for Moment {
    type Error = &'static str;

    fn try_from(moment: Timestamp) -> Result<Self, Self::Error> {
        if (2000..2100).contains(&moment.year()) {
            Ok(Self(moment))
        } else {
            Err("must be from 2000 to 2099")
        }
    }
}

/// A name: 1 to 100 characters, none of them control characters, without spaces around it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(pub(crate) String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name = text.trim();
        if (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err("must have 1 to 100 characters and no control characters")
        }
    }
}

/// 1 to 64 visible ASCII characters.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct IdempotencyKey(pub(crate) String);

impl TryFrom<String> for IdempotencyKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err("must have 1 to 64 visible ASCII characters")
        }
    }
}

/// Digits with at most one point between them, and at most so many after it.
fn plain(text: &str, decimals: u32) -> Option<Decimal> {
    let is_plain = text.len() <= 16
        && text.bytes().all(|c| c.is_ascii_digit() || c == b'.')
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit());
    let number = Decimal::from_str_exact(text).ok().filter(|_| is_plain)?;
    (number.scale() <= decimals).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn numbers_are_plain_and_bounded() {
        for good in ["0", "0.49", "9999.999999"] {
            assert_eq!(UnitPrice::try_from(good.to_owned()).unwrap().0.to_string(), good);
        }
        for bad in ["", "-1", "+1", ".5", "5.", "1e3", "1_0", "1,5", " 1", "٥", "NaN", "10000", "0.0000001"]
        {
            assert!(UnitPrice::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Kwh::try_from("100000".to_owned()).is_ok());
        assert!(Kwh::try_from("100000.0001".to_owned()).is_err());
        assert!(Kwh::try_from("0.00001".to_owned()).is_err());
        assert!(VatRate::try_from("1".to_owned()).is_ok());
        assert!(VatRate::try_from("1.0001".to_owned()).is_err());
        assert!(Minutes::try_from(10_080).is_ok());
        assert!(Minutes::try_from(10_081).is_err());
        assert!(Minutes::try_from(-1).is_err());
    }

    #[test]
    fn names_keys_and_moments_are_bounded() {
        assert_eq!(Name::try_from("  Flat  ".to_owned()).unwrap().0, "Flat");
        for bad in [" ", "a\nb", &"x".repeat(101)] {
            assert!(Name::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        for bad in ["", "a b", "é", &"k".repeat(65)] {
            assert!(IdempotencyKey::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        for bad in ["1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "+12345-01-01T00:00:00Z"] {
            assert!(Moment::try_from(bad.parse::<Timestamp>().unwrap()).is_err(), "{bad}");
        }
    }
}
