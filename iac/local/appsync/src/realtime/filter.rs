//! Which of a mutation's results a subscription asked for: those whose fields equal its arguments.

use serde_json::{Map, Value};

/// An argument given as null asks for null; one that was left out asks for nothing.
pub(super) fn admits(arguments: &Map<String, Value>, payload: &Value) -> bool {
    arguments.iter().all(|(name, wanted)| equal(wanted, payload.get(name).unwrap_or(&Value::Null)))
}

fn equal(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        // 1 and 1.0 are one number to GraphQL.
        (Value::Number(wanted), Value::Number(found)) => wanted == found || wanted.as_f64() == found.as_f64(),
        _ => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_select_by_equality_and_null_is_a_value() {
        let payload = json!({"id": "a", "count": 1, "owner": null});
        for (arguments, admitted) in [
            (json!({}), true),
            (json!({"id": "a"}), true),
            (json!({"id": "b"}), false),
            (json!({"id": "a", "count": 1.0}), true),
            (json!({"id": "a", "count": 2}), false),
            (json!({"owner": null}), true),
            (json!({"absent": null}), true),
            (json!({"id": null}), false),
            (json!({"absent": "x"}), false),
        ] {
            assert_eq!(admits(arguments.as_object().unwrap(), &payload), admitted, "{arguments}");
        }
    }
}
