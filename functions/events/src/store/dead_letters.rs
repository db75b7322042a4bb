//! `dead_letters`. Keeping and marking are functions of migration 0013.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::{CorrelationId, Database, DatabaseError, EventId, Outbox, Statement, Timestamp, UserId};
use uuid::Uuid;

use crate::dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterStatus, Ids, Name};

/// How long a replay may take to send what it claimed, in seconds: longer than its function lives.
const LEASE_SECONDS: i64 = 60;
/// Characters of a body read at once: sixteen times that many stay below what one answer of the Data API holds, even
/// if each becomes six bytes of JSON.
const PART: i64 = 8000;
const PARTS: i64 = 16;

/// Whether a row fits a [`DeadLetterFilter`], whose parameters [`bind`] binds. What is not told folds away before the
/// statement is planned, so that indexes serve the rest.
macro_rules! fits {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " (:consumer::text IS NULL OR consumer = :consumer::text)
              AND (:event_type::text IS NULL OR event_type = :event_type::text)
              AND (:from::timestamptz IS NULL OR found_at >= :from::timestamptz)
              AND (:to::timestamptz IS NULL OR found_at < :to::timestamptz)
              AND (:ids::jsonb IS NULL
                   OR id = ANY (ARRAY(SELECT value::uuid FROM jsonb_array_elements_text(:ids::jsonb)))) ",
            $after
        )
    };
}

fn bind(statement: Statement, filter: &DeadLetterFilter) -> Statement {
    let ids = |Ids(ids): &Ids| json!(ids);
    statement
        .bind("consumer", filter.consumer.as_ref().map(Name::as_str))
        .bind("event_type", filter.event_type.as_ref().map(Name::as_str))
        .bind("from", filter.from)
        .bind("to", filter.to)
        .bind("ids", filter.ids.as_ref().map(ids))
}

/// A message found among the dead.
pub(crate) struct Found<'a> {
    pub(crate) id: DeadLetterId,
    pub(crate) consumer: &'a str,
    pub(crate) event_id: Option<EventId>,
    pub(crate) event_type: Option<&'a str>,
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) receive_count: u32,
    pub(crate) sent_at: Timestamp,
    pub(crate) body: &'a str,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Keeping {
    Kept,
    /// It was kept before.
    Repeated,
}

/// Keeps a message, its audit row and its compensating event, or nothing if it was kept before.
pub(crate) async fn keep(
    outbox: &Outbox,
    found: &Found<'_>,
    compensation: Option<Value>,
    now: Timestamp,
) -> Result<Option<Keeping>, DatabaseError> {
    let letter = json!({
        "id": found.id,
        "consumer": found.consumer,
        "eventId": found.event_id,
        "eventType": found.event_type,
        "correlationId": found.correlation_id,
        "receiveCount": found.receive_count,
        "sentAt": found.sent_at,
    });
    let keep = Statement::new(
        "SELECT keep_dead_letter(:letter::jsonb, :body::text, :compensation::jsonb, :now::timestamptz,
                                 :correlation_id::uuid)",
    );
    let keep = keep
        .bind("letter", letter)
        .bind("body", found.body)
        .bind("compensation", compensation)
        .bind("now", now)
        .bind("correlation_id", found.correlation_id.unwrap_or_else(CorrelationId::new));
    outbox.write(keep).await
}

/// The last found first.
pub(crate) async fn list(
    database: &Database,
    filter: &DeadLetterFilter,
    status: Option<DeadLetterStatus>,
    after: Option<(Timestamp, DeadLetterId)>,
    limit: i64,
) -> Result<Vec<DeadLetter>, DatabaseError> {
    let list = Statement::read(fits!(
        "SELECT dead_letter_document(dead_letters) FROM dead_letters WHERE",
        "AND (:status::text IS NULL OR status = :status::text)
         AND (:after_id::uuid IS NULL OR (found_at, id) < (:after::timestamptz, :after_id::uuid))
         ORDER BY found_at DESC, id DESC LIMIT :limit::bigint"
    ));
    let list = bind(list, filter)
        .bind("status", status.map(DeadLetterStatus::name))
        .bind("after", after.map(|(found_at, _)| found_at))
        .bind("after_id", after.map(|(_, id)| id.uuid()))
        .bind("limit", limit);
    database.rows(list).await
}

/// How many open ones fit.
pub(crate) async fn count_open(
    database: &Database,
    filter: &DeadLetterFilter,
) -> Result<usize, DatabaseError> {
    let count =
        Statement::read(fits!("SELECT to_jsonb(count(*)) FROM dead_letters WHERE", "AND status = 'OPEN'"));
    Ok(database.row(bind(count, filter)).await?.unwrap_or_default())
}

/// Those that a replay would send, in its order: the first found first.
pub(crate) async fn open(
    database: &Database,
    filter: &DeadLetterFilter,
    limit: i64,
) -> Result<Vec<DeadLetter>, DatabaseError> {
    let open = Statement::read(fits!(
        "SELECT dead_letter_document(dead_letters) FROM dead_letters WHERE",
        "AND status = 'OPEN' ORDER BY found_at, id LIMIT :limit::bigint"
    ));
    database.rows(bind(open, filter).bind("limit", limit)).await
}

/// One that a replay may send: nobody else's replay sends it meanwhile.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claimed {
    pub(crate) id: DeadLetterId,
    pub(crate) consumer: String,
    pub(crate) body: String,
    /// Whether `body` is all of it.
    pub(crate) is_whole: bool,
}

/// Claims up to `limit` open ones of `consumers`, the first found first. Those that another replay has claimed, and
/// that its lease has not run out for, are passed over.
pub(crate) async fn claim(
    database: &Database,
    filter: &DeadLetterFilter,
    consumers: &[&str],
    claim: Uuid,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<Claimed>, DatabaseError> {
    let statement = Statement::new(fits!(
        "WITH due AS MATERIALIZED (
             SELECT id FROM dead_letters WHERE",
        "        AND status = 'OPEN' AND (claimed_until IS NULL OR claimed_until <= :now::timestamptz)
                 AND consumer IN (SELECT jsonb_array_elements_text(:consumers::jsonb))
             ORDER BY found_at, id LIMIT :limit::bigint
             FOR UPDATE SKIP LOCKED
         ), claimed AS (
             UPDATE dead_letters
             SET claim = :claim::uuid,
                 claimed_until = :now::timestamptz + make_interval(secs => :lease::float8)
             WHERE id IN (SELECT id FROM due)
             RETURNING id, consumer, found_at, body, shown_text(body) AS shown
         )
         SELECT jsonb_build_object('id', id, 'consumer', consumer, 'body', shown, 'isWhole', shown = body)
         FROM claimed ORDER BY found_at, id"
    ));
    let statement = bind(statement, filter)
        .bind("consumers", json!(consumers))
        .bind("claim", claim)
        .bind("lease", LEASE_SECONDS)
        .bind("limit", limit)
        .bind("now", now);
    database.rows(statement).await
}

/// All of a body, however long, in as many reads as it takes.
pub(crate) async fn whole_body(database: &Database, id: DeadLetterId) -> Result<String, DatabaseError> {
    let mut whole = String::new();
    for first in (0..).step_by(usize::try_from(PARTS).unwrap_or(1)) {
        let read = Statement::read(
            "SELECT to_jsonb(substr(body, (part * :size::bigint)::integer + 1, :size::integer))
             FROM dead_letters, generate_series(:first::bigint, :first::bigint + :parts::bigint - 1) AS part
             WHERE id = :id::uuid AND part * :size::bigint < length(body)
             ORDER BY part",
        );
        let read = read.bind("id", id.uuid()).bind("size", PART).bind("first", first).bind("parts", PARTS);
        let parts: Vec<String> = database.rows(read).await?;
        let is_last = i64::try_from(parts.len()).is_ok_and(|count| count < PARTS);
        whole.extend(parts);
        if is_last {
            break;
        }
    }
    Ok(whole)
}

/// A replay's hand: who sends, why, and under which claim.
pub(crate) struct Hand<'a> {
    pub(crate) claim: Uuid,
    pub(crate) operator: UserId,
    pub(crate) reason: &'a str,
    pub(crate) correlation_id: CorrelationId,
}

/// Notes that those were sent, each with its audit row.
pub(crate) async fn mark(
    database: &Database,
    sent: &[DeadLetterId],
    hand: &Hand<'_>,
    now: Timestamp,
) -> Result<Vec<DeadLetter>, DatabaseError> {
    let mark = Statement::new(
        "SELECT letter FROM mark_replayed(:letters::jsonb, :claim::uuid, :operator::uuid, :reason::text,
                                          :now::timestamptz, :correlation_id::uuid) AS letter",
    );
    let mark = mark
        .bind("letters", json!(sent))
        .bind("claim", hand.claim)
        .bind("operator", hand.operator)
        .bind("reason", hand.reason)
        .bind("now", now)
        .bind("correlation_id", hand.correlation_id);
    database.rows(mark).await
}
