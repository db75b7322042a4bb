//! The envelope every event travels in, and what a payload must tell about itself.
//! Payload types live with the context that produces them; their JSON Schemas in `events/schemas/`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CorrelationId, EventId, Failure, Timestamp, read_fields};

/// The payload of one type of event.
pub trait Event: DeserializeOwned {
    /// Its `eventType`, `SESSION_ENDED`.
    const TYPE: &'static str;
}

/// What one consumer understands: a payload, or an enum of them whose `read` chooses by `eventType`.
pub trait Events: Sized {
    /// The payload of an event of `event_type`, out of the fields beside the envelope's; none for a type that this
    /// consumer was never meant to get.
    fn read(event_type: &str, fields: Value) -> Option<Result<Self, Failure>>;
}

impl<P: Event> Events for P {
    fn read(event_type: &str, fields: Value) -> Option<Result<Self, Failure>> {
        (event_type == P::TYPE).then(|| read_fields(fields))
    }
}

/// One event: who says what happened when, and the payload beside it, flat.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<P> {
    /// Unique; a repeated delivery carries the same.
    pub event_id: EventId,
    /// `SESSION_ENDED`, …
    pub event_type: String,
    /// Of the payload's schema; it grows by adding fields.
    pub version: u32,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The component that tells it, `session-service`.
    pub source: String,
    /// The request it stems from.
    pub correlation_id: CorrelationId,
    /// The domain's own fields.
    #[serde(flatten)]
    pub payload: P,
}

impl<P> Envelope<P> {
    /// The same event with its payload read further.
    pub fn map<Q>(self, read: impl FnOnce(&str, P) -> Result<Q, Failure>) -> Result<Envelope<Q>, Failure> {
        let Self { event_id, event_type, version, timestamp, source, correlation_id, payload } = self;
        let payload = read(&event_type, payload)?;
        Ok(Envelope { event_id, event_type, version, timestamp, source, correlation_id, payload })
    }
}
