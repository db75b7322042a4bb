//! Lists in the place of objects. serde reads a list as a struct's members in their order, which no schema allows.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Whether `payload` has objects wherever the request that was read from it has them.
pub(super) fn is_kept(payload: &RawValue, request: &impl Serialize) -> bool {
    match (serde_json::from_str(payload.get()), serde_json::to_value(request)) {
        (Ok(given), Ok(read)) => is_alike(&given, &read),
        _ => false,
    }
}

fn is_alike(given: &Value, read: &Value) -> bool {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            read.iter().all(|(name, read)| given.get(name).is_none_or(|given| is_alike(given, read)))
        }
        (Value::Array(given), Value::Array(read)) => {
            given.iter().zip(read).all(|(given, read)| is_alike(given, read))
        }
        (Value::Array(_), Value::Object(_)) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde::Deserialize;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Modem {
        iccid: Option<String>,
    }

    #[derive(Serialize, Deserialize)]
    struct Boot {
        modems: Vec<Modem>,
    }

    #[test]
    fn a_list_is_no_object_however_short() {
        for (payload, expected) in [
            (r#"{"modems": [{"iccid": "1"}, {}]}"#, true),
            (r#"{"modems": []}"#, true),
            (r#"{"modems": [{}, ["1"]]}"#, false),
        ] {
            let payload: &RawValue = serde_json::from_str(payload).unwrap();
            let read: Boot = serde_json::from_str(payload.get()).unwrap();
            assert_eq!(is_kept(payload, &read), expected, "{payload}");
        }
    }
}
