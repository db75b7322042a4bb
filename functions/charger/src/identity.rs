//! Who a charger says it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name a charger dials in with: OCPP's identifierString but for the colon, which would split HTTP Basic
/// credentials in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChargePointId(String);

impl ChargePointId {
    /// Its text, safe in keys and logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Out of a URL, where any of its characters may be percent-encoded.
    pub fn from_url(text: &str) -> Result<Self, <Self as FromStr>::Err> {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
        decoded.parse()
    }
}

impl FromStr for ChargePointId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"*-_=+|@.".contains(&byte);
        let fits = (1..=48).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned())).ok_or("must be 1 to 48 of A-Z a-z 0-9 * - _ = + | @ .")
    }
}

impl TryFrom<String> for ChargePointId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ChargePointId> for String {
    fn from(id: ChargePointId) -> Self {
        id.0
    }
}

impl fmt::Display for ChargePointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checklist_20_an_identity_in_a_url_is_decoded() {
        let decoded = |text| ChargePointId::from_url(text).map(String::from);
        assert_eq!(decoded("CP%2B1%7Cleft"), Ok("CP+1|left".to_owned()));
        assert_eq!(decoded("CP+1"), Ok("CP+1".to_owned()));
        assert!(decoded("CP%201").is_err());
        assert!(decoded("%ff").is_err());
    }

    #[test]
    fn an_identity_is_bounded_and_has_no_colon() {
        assert!("x".repeat(48).parse::<ChargePointId>().is_ok());
        for text in ["", "a:b", "a/b", "a b", "a\n", &"x".repeat(49)] {
            assert!(text.parse::<ChargePointId>().is_err(), "{text:?}");
        }
    }
}
