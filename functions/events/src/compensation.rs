//! What the rest of the system is told when a consumer had to give up an event.

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// One event that stands for another's failure. It carries the ids it takes over, `deadLetterId` and `failedEventId`.
struct Compensation {
    event_type: &'static str,
    consumer: &'static str,
    failed: &'static str,
    /// Fields of the failed event that are taken over, all of them ids.
    ids: &'static [&'static str],
}

const COMPENSATIONS: &[Compensation] = &[
    // A charge that is over and costs nothing yet: operators bill it by a replay, once the cause is gone.
    Compensation::emit("SESSION_BILLING_FAILED")
        .when("bill-session", "SESSION_ENDED")
        .with(&["sessionId", "userId"]),
];

impl Compensation {
    const fn emit(event_type: &'static str) -> Self {
        Self { event_type, consumer: "", failed: "", ids: &[] }
    }

    const fn when(self, consumer: &'static str, failed: &'static str) -> Self {
        Self { consumer, failed, ..self }
    }

    const fn with(self, ids: &'static [&'static str]) -> Self {
        Self { ids, ..self }
    }
}

/// `{eventType, fields}` of what is told when `consumer` could not take an event of type `failed`; none where nothing
/// is to be told, or where the event does not say of whom.
pub(crate) fn compensation(consumer: &str, failed: &str, event: &Value) -> Option<Value> {
    let compensation =
        COMPENSATIONS.iter().find(|entry| entry.consumer == consumer && entry.failed == failed)?;
    let field = |name: &&str| {
        let id: Uuid = event[*name].as_str()?.parse().ok()?;
        Some(((*name).to_owned(), json!(id)))
    };
    let fields: Map<String, Value> = compensation.ids.iter().map(field).collect::<Option<_>>()?;
    Some(json!({ "eventType": compensation.event_type, "fields": fields }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unbilled_session_is_told_of_and_only_by_its_ids() {
        let event = json!({
            "sessionId": "6fe27f6e-ff2d-4dda-9f86-3de70e1a4bbf", "userId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf8",
            "energyKwh": 22.4,
        });
        assert_eq!(
            compensation("bill-session", "SESSION_ENDED", &event),
            Some(json!({
                "eventType": "SESSION_BILLING_FAILED",
                "fields": {
                    "sessionId": "6fe27f6e-ff2d-4dda-9f86-3de70e1a4bbf",
                    "userId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf8",
                },
            }))
        );
        assert_eq!(compensation("refresh-cache", "SESSION_ENDED", &event), None);
        assert_eq!(compensation("bill-session", "SESSION_STARTED", &event), None);
    }

    #[test]
    fn an_event_that_does_not_say_of_whom_is_not_told_of() {
        for event in [json!({}), json!(null), json!({ "sessionId": "6fe27f6e", "userId": 7 })] {
            assert_eq!(compensation("bill-session", "SESSION_ENDED", &event), None);
        }
    }
}
