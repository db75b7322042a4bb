//! Amounts as clients write them.

use rust_decimal::Decimal;
use serde::Deserialize;

/// Above zero, of up to twelve digits with at most one point between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Amount(pub(crate) Decimal);

impl TryFrom<String> for Amount {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_plain = text.len() <= 12
            && text.bytes().all(|c| c.is_ascii_digit() || c == b'.')
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.ends_with(|c: char| c.is_ascii_digit());
        match Decimal::from_str_exact(&text) {
            Ok(amount) if is_plain && amount > Decimal::ZERO => Ok(Self(amount)),
            _ => Err("must be a decimal above 0, such as 50.00"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_plain_decimal() {
        for text in ["50.00", "50", "0.01", "123456789.01"] {
            assert!(Amount::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in
            ["0", "0.00", "-5", "+5", "1e3", "1_000", "1,00", ".5", "5.", "", " 5", "NaN", "4242424242424242"]
        {
            assert!(Amount::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
