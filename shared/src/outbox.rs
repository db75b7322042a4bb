//! Business writes that tell of themselves: the statement writes the state and its events (`emit` in the
//! migrations puts them into `outbox`), and what it returns is published at once. If that fails the relay
//! publishes it later: at least once, never lost, never invented.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{error, info, warn};

use crate::database::DatabaseError;
use crate::{Database, Envelope, Metric, Metrics, MissingSetting, Statement, setting};

/// `PutEvents` takes no more entries in one call.
const REQUEST_ENTRIES: usize = 10;
/// `PutEvents` refuses a request as a whole whose entries have 256 KB together, whichever kind of KB that is.
const REQUEST_BYTES: usize = 255_000;
/// The Data API's answers end at 1 MiB, in which quotes count twice. Longer than this is also what no bus would take.
const READ_BYTES: i64 = 400_000;
/// The Data API's rows end at 64 KB; a character has up to four bytes.
const PART_CHARACTERS: i64 = 15_000;

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

/// An event on its way to the bus, and what the outbox calls it.
type Offer = (Offered, PutEventsRequestEntry);

struct Offered {
    id: Value,
    event_type: String,
}

/// How many events the bus took, and whether it had a word to say to all of them.
struct Published {
    count: usize,
    answered: bool,
}

/// The bus is down or overloaded, whatever it is given.
struct NoAnswer;

/// Part of an unpublished event's text; none of it if it is too long to be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    place: OutboxPlace,
    event_id: Value,
    event_type: String,
    text: Option<String>,
}

/// A place in the outbox: events are older than it, or newer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OutboxPlace {
    created_at: String,
    position: i64,
}

impl Default for OutboxPlace {
    /// Older than every event.
    fn default() -> Self {
        Self { created_at: "-infinity".into(), position: 0 }
    }
}

/// How one round of the relay went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Events that were due.
    pub found: usize,
    /// Those of them that the bus took.
    pub published: usize,
    /// Where the next round begins; none if nothing was due, or the bus does not answer.
    pub next: Option<OutboxPlace>,
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

    /// Publishes up to `limit` events that are newer than `after` and still unpublished `after_seconds` after their
    /// write, oldest first. Those that the bus refuses stay, and it is for the caller to go on after them.
    pub async fn relay(
        &self,
        after_seconds: i64,
        limit: i64,
        after: &OutboxPlace,
    ) -> Result<Relayed, DatabaseError> {
        let unpublished = Statement::read(
            "WITH due AS (
                 SELECT created_at, position, event_id, event_type,
                        CASE WHEN octet_length(payload::text) <= :most::bigint THEN payload::text END AS text
                 FROM outbox
                 WHERE published_at IS NULL AND created_at <= now() - make_interval(secs => :after::float8)
                   AND (created_at, position) > (:created_at::timestamptz, :position::bigint)
                 ORDER BY created_at, position LIMIT :limit::bigint
             ), sized AS (
                 SELECT due.*, coalesce(sum(octet_length(text)) OVER (ORDER BY created_at, position), 0) AS size
                 FROM due
             )
             SELECT jsonb_build_object(
                 'place', jsonb_build_object('created_at', created_at, 'position', position),
                 'eventId', event_id,
                 'eventType', event_type,
                 'text', substr(text, 1 + part * :part::int, :part::int)
             ) FROM sized, generate_series(0, coalesce((length(text) - 1) / :part::int, 0)) AS part
             WHERE size <= :most::bigint
             ORDER BY created_at, position, part",
        );
        let unpublished = unpublished
            .bind("after", after_seconds)
            .bind("limit", limit)
            .bind("created_at", after.created_at.as_str())
            .bind("position", after.position)
            .bind("most", READ_BYTES)
            .bind("part", PART_CHARACTERS);
        let parts: Vec<Part> = self.database.rows(unpublished).await?;
        let (mut found, mut events) = (0, Vec::new());
        for parts in parts.chunk_by(|one, next| one.place == next.place) {
            found += 1;
            match parts.iter().map(|part| part.text.as_deref()).collect::<Option<String>>() {
                Some(text) => events.push(serde_json::from_str(&text)?),
                None => error!(
                    event_id = parts[0].event_id.as_str(),
                    event_type = parts[0].event_type,
                    "an event is too large to be read"
                ),
            }
        }
        let Published { count, answered } = self.publish(events).await;
        let next = parts.into_iter().next_back().filter(|_| answered).map(|part| part.place);
        Ok(Relayed { found, published: count, next })
    }

    /// What is unpublished now, just written or not.
    pub async fn backlog(&self) -> Result<Backlog, DatabaseError> {
        let statement = Statement::read(
            "SELECT jsonb_build_object(
                 'unsent', count(*),
                 'oldestAgeSeconds', greatest(extract(epoch FROM now() - min(created_at)), 0)::bigint
             ) FROM outbox WHERE published_at IS NULL",
        );
        let backlog = self.database.row(statement).await?;
        Ok(backlog.unwrap_or(Backlog { unsent: 0, oldest_age_seconds: 0 }))
    }

    /// Publishes and marks.
    async fn publish(&self, events: Vec<Value>) -> Published {
        let offers = events.iter().filter_map(|event| self.offer(event));
        let mut published = Vec::with_capacity(events.len());
        let mut types = BTreeMap::<String, u64>::new();
        let mut answered = true;
        for request in requests(offers) {
            let Ok(taken) = self.put(request).await else {
                answered = false;
                break;
            };
            for Offered { id, event_type } in taken {
                published.push(id);
                *types.entry(event_type).or_default() += 1;
            }
        }
        let count = published.len();
        if count == 0 {
            return Published { count, answered };
        }
        for (event_type, count) in types {
            Metrics::by("EventType", event_type).add(Metric::EventsPublished, count).emit();
        }
        let mark = Statement::new(
            "UPDATE outbox SET published_at = now()
             WHERE event_id IN (SELECT value::uuid FROM jsonb_array_elements_text(:ids::jsonb))",
        );
        if let Err(error) =
            self.database.rows::<Value>(mark.bind("ids", Value::from(published)).repeatable()).await
        {
            warn!(cause = %error, "published events stay unmarked: the relay will publish them again");
        }
        Published { count, answered }
    }

    /// Those that the bus took.
    async fn put(&self, offers: Vec<Offer>) -> Result<Vec<Offered>, NoAnswer> {
        let (offered, entries): (Vec<_>, Vec<_>) = offers.into_iter().unzip();
        match Box::pin(self.bus.put_events().set_entries(Some(entries)).send()).await {
            Ok(answer) => {
                let mut taken = Vec::with_capacity(offered.len());
                for (event, entry) in offered.into_iter().zip(answer.entries()) {
                    match entry.error_code() {
                        None => taken.push(event),
                        Some(code) => warn!(
                            event_id = event.id.as_str(),
                            event_type = event.event_type,
                            code,
                            "the bus refused an event: left to the relay"
                        ),
                    }
                }
                Ok(taken)
            }
            Err(error) => {
                let answered = is_about_the_request(&error);
                let cause = DisplayErrorContext(error);
                match offered.as_slice() {
                    [Offered { id, event_type }] if answered => {
                        error!(event_id = id.as_str(), event_type, %cause, "the bus refuses this event");
                    }
                    _ => warn!(events = offered.len(), %cause, "not published: left to the relay"),
                }
                if answered { Ok(Vec::new()) } else { Err(NoAnswer) }
            }
        }
    }

    fn offer(&self, event: &Value) -> Option<Offer> {
        let envelope = Envelope::<serde::de::IgnoredAny>::deserialize(event);
        let envelope =
            envelope.inspect_err(|cause| error!(%cause, "the outbox holds what is no event")).ok()?;
        info!(event_type = envelope.event_type, event_id = %envelope.event_id, correlation_id = %envelope.correlation_id, "publishing");
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus_name)
            .source(&envelope.source)
            .detail_type(&envelope.event_type)
            .detail(event.to_string())
            .build();
        Some((Offered { id: json!(envelope.event_id), event_type: envelope.event_type }, entry))
    }
}

/// As few requests as the bus's limits allow. What is too large for any is alone in its own, and refused alone.
fn requests(offers: impl Iterator<Item = Offer>) -> Vec<Vec<Offer>> {
    let mut requests: Vec<Vec<Offer>> = Vec::new();
    let mut bytes = 0;
    for offer in offers {
        let size = size(&offer.1);
        match requests.last_mut() {
            Some(request) if request.len() < REQUEST_ENTRIES && bytes + size <= REQUEST_BYTES => {
                bytes += size;
                request.push(offer);
            }
            _ => {
                bytes = size;
                requests.push(vec![offer]);
            }
        }
    }
    requests
}

/// As the bus counts it.
fn size(entry: &PutEventsRequestEntry) -> usize {
    [entry.source(), entry.detail_type(), entry.detail()].into_iter().flatten().map(str::len).sum()
}

/// Whether other events may be taken where these were not.
fn is_about_the_request<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let SdkError::ServiceError(answer) = error else { return false };
    answer.raw().status().is_client_error() && answer.err().code() != Some("ThrottlingException")
}
