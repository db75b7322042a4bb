//! Lists told by offset: which entries of one are asked for.

use serde::{Deserialize, Serialize};

use crate::values::Number;

/// How many entries are asked for: 1 to 100, 50 unless told (`#[serde(default)]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Number<i64>")]
pub struct Limit(u8);

/// How many entries are passed over: 0 to 10000, none unless told (`#[serde(default)]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Number<i64>")]
pub struct Offset(u16);

impl Limit {
    /// The number.
    pub fn get(self) -> i64 {
        self.0.into()
    }
}

impl Offset {
    /// The number.
    pub fn get(self) -> i64 {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<Number<i64>> for Limit {
    type Error = &'static str;

    fn try_from(Number(count): Number<i64>) -> Result<Self, Self::Error> {
        match u8::try_from(count) {
            Ok(count @ 1..=100) => Ok(Self(count)),
            _ => Err("must be between 1 and 100"),
        }
    }
}

impl TryFrom<Number<i64>> for Offset {
    type Error = &'static str;

    fn try_from(Number(count): Number<i64>) -> Result<Self, Self::Error> {
        match u16::try_from(count) {
            Ok(count @ 0..=10_000) => Ok(Self(count)),
            _ => Err("must be between 0 and 10000"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        limit: Limit,
        #[serde(default)]
        offset: Offset,
    }

    fn read(fields: Value) -> Option<(i64, i64)> {
        let fields: Fields = serde_json::from_value(fields).ok()?;
        Some((fields.limit.get(), fields.offset.get()))
    }

    #[test]
    fn a_page_has_bounds_and_defaults() {
        assert_eq!(read(json!({})), Some((50, 0)));
        assert_eq!(read(json!({ "limit": "100", "offset": "10000" })), Some((100, 10_000)));
        assert_eq!(read(json!({ "limit": 1, "offset": 0 })), Some((1, 0)));
        for bad in [
            json!({ "limit": "0" }),
            json!({ "limit": "101" }),
            json!({ "limit": "1.5" }),
            json!({ "limit": "" }),
        ] {
            assert_eq!(read(bad), None);
        }
        for bad in
            [json!({ "offset": "-1" }), json!({ "offset": "10001" }), json!({ "offset": "9".repeat(30) })]
        {
            assert_eq!(read(bad), None);
        }
    }
}
