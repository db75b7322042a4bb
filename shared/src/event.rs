//! The envelope every event travels in (DESIGN §4), and what a payload must tell about itself.
//! Payload types live with the context that produces them; their JSON Schemas in `events/schemas/`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{CorrelationId, EventId, Timestamp};

/// A payload that a consumer understands.
pub trait Event: DeserializeOwned {
    /// Its `eventType`, `SESSION_ENDED`.
    const TYPE: &'static str;
}

/// One event: who says what happened when, and the payload beside it (flat, in the seeds' field names).
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
