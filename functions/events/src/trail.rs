//! What happened because of one request, as its events tell it.

use serde::{Deserialize, Serialize};
use shared::{Caller, CorrelationId, Cursor, Database, EventId, Failure, First, Page, Role, Timestamp};

use crate::store;

/// GraphQL `EventRecord`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRecord {
    /// Unique.
    pub event_id: EventId,
    /// `SESSION_ENDED`, …
    pub event_type: String,
    /// Of its schema.
    pub version: u32,
    /// Who tells it.
    pub source: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When the bus took it; none while it waits.
    pub published_at: Option<Timestamp>,
    /// The envelope, as JSON; of one that is too long for a list, what all envelopes have, and `"omitted": true`.
    pub payload: String,
    /// The order in which events were written.
    #[serde(skip_serializing)]
    pub(crate) position: i64,
}

/// Arguments of `Query.eventTrail`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventTrail {
    correlation_id: CorrelationId,
    first: Option<First>,
    after: Option<Cursor>,
}

/// The events of one request and of what followed from it, as far back as the outbox is kept, oldest first. Operators
/// only.
pub async fn event_trail(
    database: &Database,
    caller: &Caller,
    EventTrail { correlation_id, first, after }: EventTrail,
) -> Result<Page<EventRecord>, Failure> {
    caller.with_role(Role::Operator)?;
    let first = first.unwrap_or_default();
    let after = after.map(|cursor| cursor.key::<i64>()).transpose()?;
    let rows = store::records::trail(database, correlation_id, after, first.with_lookahead()).await?;
    Page::of(first, rows, |event| event.position)
}
