//! Fields that a query says as text and a body as what they are.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

/// A `T` that is read from a JSON number or from the text of one (`"10.5"`), with `T`'s own bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Number<T>(pub T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText<T>(PhantomData<T>);

        impl<T: DeserializeOwned> NumberOrText<T> {
            fn read<E: Error>(number: serde_json::Number) -> Result<Number<T>, E> {
                T::deserialize(serde_json::Value::Number(number)).map(Number).map_err(E::custom)
            }
        }

        impl<T: DeserializeOwned> Visitor<'_> for NumberOrText<T> {
            type Value = Number<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number<T>, E> {
                Self::read(number.into())
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number<T>, E> {
                Self::read(number.into())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number<T>, E> {
                Self::read(serde_json::Number::from_f64(number).ok_or_else(|| E::custom("must be a number"))?)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number<T>, E> {
                Self::read(text.parse().map_err(|_| E::custom("must be a number"))?)
            }
        }

        deserializer.deserialize_any(NumberOrText(PhantomData))
    }
}

/// For `#[serde(deserialize_with = "rest::parsed")]`: a `T` from its text, refused in its own words (an id's are
/// `must be a UUID`).
pub fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use shared::StationId;

    use super::*;

    #[test]
    fn a_number_may_be_text() {
        for number in [json!(10), json!("10"), json!(10.0), json!("1e1")] {
            assert_eq!(serde_json::from_value(number).ok(), Some(Number(10.0)));
        }
        for nothing in ["", " 10", "ten", "NaN", "inf", "0x10", "1e999", "10,5", "+1"] {
            assert!(serde_json::from_value::<Number<f64>>(json!(nothing)).is_err(), "{nothing}");
        }
        assert!(serde_json::from_value::<Number<u8>>(json!("256")).is_err());
        assert!(serde_json::from_value::<Number<i64>>(json!("1.5")).is_err());
        assert_eq!(serde_json::from_value::<Option<Number<u8>>>(json!(null)).unwrap(), None);
    }

    #[test]
    fn an_id_is_refused_in_plain_words() {
        #[derive(Debug, Deserialize)]
        struct Fields {
            #[serde(deserialize_with = "parsed")]
            id: StationId,
        }
        let id = StationId::new();
        assert_eq!(serde_json::from_value::<Fields>(json!({ "id": id })).unwrap().id, id);
        let error = serde_json::from_value::<Fields>(json!({ "id": "42" })).unwrap_err();
        assert_eq!(error.to_string(), "must be a UUID");
    }
}
