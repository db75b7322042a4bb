//! Messages that no consumer could take, as operators see and choose them.

use serde::{Deserialize, Serialize};
use shared::{Caller, CorrelationId, Cursor, Database, EventId, Failure, First, Page, Role, Timestamp};
use uuid::Uuid;

use crate::store;

/// One dead letter: the same for the same message of the same queue, however often it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeadLetterId(Uuid);

impl DeadLetterId {
    /// The id of a message by its queue's URL and its own id.
    pub(crate) fn of(queue: &str, message_id: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{queue}#{message_id}").as_bytes()))
    }

    /// The bare UUID, for a store.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

/// Whether a dead letter was sent to its consumer again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeadLetterStatus {
    /// It was not.
    Open,
    /// It was; if that failed, too, the message is another dead letter by now.
    Replayed,
}

impl DeadLetterStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Replayed => "REPLAYED",
        }
    }
}

/// GraphQL `DeadLetter`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// Who could not take it.
    pub consumer: String,
    /// These three if it is an event.
    pub event_id: Option<EventId>,
    /// Its type.
    pub event_type: Option<String>,
    /// The request that it stems from.
    pub correlation_id: Option<CorrelationId>,
    /// Whether it was sent again.
    pub status: DeadLetterStatus,
    /// How often the consumer got it.
    pub receive_count: u32,
    /// When it was sent first.
    pub sent_at: Timestamp,
    /// When it was found, to the millisecond.
    pub found_at: Timestamp,
    /// When it was sent again.
    pub replayed_at: Option<Timestamp>,
    /// The message; the beginning of one that is too long for a list.
    pub body: String,
}

/// Which dead letters; all that is told must fit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterFilter {
    pub(crate) consumer: Option<Name>,
    pub(crate) event_type: Option<Name>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) ids: Option<Ids>,
}

/// The name of a consumer or an event type: 1 to 64 visible ASCII characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err("must have 1 to 64 visible ASCII characters")
        }
    }
}

/// Up to 1000 ids.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<DeadLetterId>")]
pub(crate) struct Ids(pub(crate) Vec<DeadLetterId>);

impl TryFrom<Vec<DeadLetterId>> for Ids {
    type Error = &'static str;

    fn try_from(ids: Vec<DeadLetterId>) -> Result<Self, Self::Error> {
        if ids.len() <= 1000 { Ok(Self(ids)) } else { Err("must be no more than 1000") }
    }
}

/// Arguments of `Query.deadLetters`.
#[derive(Debug, Deserialize)]
pub struct ListDeadLetters {
    filter: Option<DeadLetterFilter>,
    status: Option<DeadLetterStatus>,
    first: Option<First>,
    after: Option<Cursor>,
}

/// Dead letters, the last found first. Operators only.
pub async fn dead_letters(
    database: &Database,
    caller: &Caller,
    ListDeadLetters { filter, status, first, after }: ListDeadLetters,
) -> Result<Page<DeadLetter>, Failure> {
    caller.with_role(Role::Operator)?;
    let first = first.unwrap_or_default();
    let after = after.map(|cursor| cursor.key::<(Timestamp, DeadLetterId)>()).transpose()?;
    let filter = filter.unwrap_or_default();
    let rows = store::dead_letters::list(database, &filter, status, after, first.with_lookahead()).await?;
    Page::of(first, rows, |letter| (letter.found_at, letter.id))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::{Value, json};

    use super::*;

    fn read(filter: &Value) -> Result<ListDeadLetters, Failure> {
        shared::read_fields(json!({ "filter": filter }))
    }

    #[test]
    fn a_filter_is_bounded_and_what_does_not_fit_is_named() {
        assert!(
            read(&json!({ "consumer": "bill-session", "eventType": "SESSION_ENDED", "ids": [] })).is_ok()
        );
        let too_many = vec![Uuid::nil(); 1001];
        for (filter, field) in [
            (json!({ "consumer": "" }), "filter.consumer"),
            (json!({ "eventType": "A".repeat(65) }), "filter.eventType"),
            (json!({ "eventType": "SESSION ENDED" }), "filter.eventType"),
            (json!({ "ids": ["42"] }), "filter.ids"),
            (json!({ "ids": too_many }), "filter.ids"),
            (json!({ "from": "yesterday" }), "filter.from"),
        ] {
            let Err(Failure::Invalid { field: found, .. }) = read(&filter) else { panic!("{field}") };
            assert!(found.starts_with(field), "{found}");
        }
    }

    #[test]
    fn a_message_has_one_id_in_its_queue_and_another_elsewhere() {
        let id = DeadLetterId::of("http://queue/a", "m1");
        assert_eq!(id, DeadLetterId::of("http://queue/a", "m1"));
        assert_ne!(id, DeadLetterId::of("http://queue/a", "m2"));
        assert_ne!(id, DeadLetterId::of("http://queue/b", "m1"));
    }
}
