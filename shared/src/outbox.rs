//! Business writes that tell of themselves: the statement writes the state and its events (`emit` in the
//! migrations puts them into `outbox`), and what it returns is published at once. If that fails the relay
//! publishes it later: at least once, never lost, never invented.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::database::DatabaseError;
use crate::{Database, Envelope, Metric, Metrics, MissingSetting, Statement, setting};

/// `PutEvents` takes no more entries in one call.
const BATCH: usize = 10;

/// The database and the bus, as one place to write to.
#[derive(Clone)]
pub struct Outbox {
    database: Database,
    bus: Client,
    bus_name: String,
}

/// The one row of a write that emits events.
#[derive(Deserialize)]
struct Written<T> {
    outcome: T,
    /// The envelopes, exactly as `outbox` holds them.
    events: Option<Vec<Value>>,
}

/// An event that the bus took, as far as the outbox cares.
struct Taken {
    id: Value,
    event_type: String,
}

/// How one round of the relay went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relayed {
    /// Events that were due.
    pub found: usize,
    /// Those of them that the bus took.
    pub published: usize,
}

/// What waits in the outbox for the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    /// Events that the bus does not know.
    pub unsent: u64,
    /// How long the oldest of them has waited; 0 if there is none.
    pub oldest_age_seconds: u64,
}

impl Outbox {
    /// The database, and the bus of that name.
    pub fn new(database: Database, bus: Client, bus_name: impl Into<String>) -> Self {
        Self { database, bus, bus_name: bus_name.into() }
    }

    /// From `EVENT_BUS_NAME` and the settings of [`Database::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Database::from_env(config)?, Client::new(config), setting("EVENT_BUS_NAME")?))
    }

    /// The database, for reads and for writes that nobody needs to hear of.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Runs a statement whose one row is `{"outcome": T, "events": [envelope] | null}`, publishes the events and
    /// gives the outcome; none when it returned no row.
    pub async fn write<T: DeserializeOwned>(&self, statement: Statement) -> Result<Option<T>, DatabaseError> {
        let Some(written) = self.database.row::<Written<T>>(statement).await? else { return Ok(None) };
        self.publish(written.events.unwrap_or_default()).await;
        Ok(Some(written.outcome))
    }

    /// Publishes up to `limit` events that are still unpublished `after_seconds` after their write, oldest first.
    pub async fn relay(&self, after_seconds: i64, limit: i64) -> Result<Relayed, DatabaseError> {
        let unpublished = Statement::new(
            "SELECT payload FROM outbox
             WHERE published_at IS NULL AND created_at <= now() - make_interval(secs => :after::float8)
             ORDER BY created_at, position LIMIT :limit::bigint",
        );
        let unpublished = unpublished.bind("after", after_seconds).bind("limit", limit);
        let events: Vec<Value> = self.database.rows(unpublished).await?;
        let found = events.len();
        Ok(Relayed { found, published: self.publish(events).await })
    }

    /// What is unpublished now, just written or not.
    pub async fn backlog(&self) -> Result<Backlog, DatabaseError> {
        let statement = Statement::new(
            "SELECT jsonb_build_object(
                 'unsent', count(*),
                 'oldestAgeSeconds', greatest(extract(epoch FROM now() - min(created_at)), 0)::bigint
             ) FROM outbox WHERE published_at IS NULL",
        );
        let backlog = self.database.row(statement).await?;
        Ok(backlog.unwrap_or(Backlog { unsent: 0, oldest_age_seconds: 0 }))
    }

    /// Publishes and marks; tells how many the bus took.
    async fn publish(&self, events: Vec<Value>) -> usize {
        let mut published = Vec::with_capacity(events.len());
        let mut types = BTreeMap::<String, u64>::new();
        for batch in events.chunks(BATCH) {
            for Taken { id, event_type } in self.put(batch).await {
                published.push(id);
                *types.entry(event_type).or_default() += 1;
            }
        }
        let count = published.len();
        if count == 0 {
            return 0;
        }
        for (event_type, count) in types {
            Metrics::by("EventType", event_type).add(Metric::EventsPublished, count).emit();
        }
        let mark = Statement::new(
            "UPDATE outbox SET published_at = now()
             WHERE event_id IN (SELECT value::uuid FROM jsonb_array_elements_text(:ids::jsonb))",
        );
        if let Err(error) = self.database.rows::<Value>(mark.bind("ids", Value::from(published))).await {
            warn!(cause = %error, "published events stay unmarked: the relay will publish them again");
        }
        count
    }

    /// Those that the bus took.
    async fn put(&self, events: &[Value]) -> Vec<Taken> {
        let (offered, entries): (Vec<_>, Vec<_>) =
            events.iter().filter_map(|event| self.entry(event)).unzip();
        match Box::pin(self.bus.put_events().set_entries(Some(entries)).send()).await {
            Ok(answer) => {
                let answered = offered.into_iter().zip(answer.entries());
                let taken = answered.filter(|(_, entry)| entry.error_code().is_none());
                let taken: Vec<_> = taken.map(|(event, _)| event).collect();
                if taken.len() < events.len() {
                    warn!(refused = events.len() - taken.len(), "the bus refused events: left to the relay");
                }
                taken
            }
            Err(error) => {
                warn!(cause = %aws_sdk_eventbridge::error::DisplayErrorContext(error), "not published: left to the relay");
                Vec::new()
            }
        }
    }

    fn entry(&self, event: &Value) -> Option<(Taken, PutEventsRequestEntry)> {
        let envelope: Envelope<serde::de::IgnoredAny> = Envelope::deserialize(event).ok()?;
        info!(event_type = envelope.event_type, event_id = %envelope.event_id, correlation_id = %envelope.correlation_id, "publishing");
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus_name)
            .source(&envelope.source)
            .detail_type(&envelope.event_type)
            .detail(event.to_string())
            .build();
        Some((Taken { id: json!(envelope.event_id), event_type: envelope.event_type }, entry))
    }
}
