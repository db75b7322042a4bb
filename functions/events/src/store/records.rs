//! `outbox` and `audit_log` as operators read them, and the end of what is old.

use shared::{CorrelationId, Database, DatabaseError, Statement, Timestamp, UserId};

use crate::audit::AuditEntry;
use crate::trail::EventRecord;

/// Oldest first. A payload has no more than 8000 bytes as JSON text within JSON: a hundred and one of them fit into an
/// answer of the Data API.
pub(crate) async fn trail(
    database: &Database,
    correlation_id: CorrelationId,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<EventRecord>, DatabaseError> {
    let list = Statement::read(
        "SELECT jsonb_build_object(
             'eventId', event_id,
             'eventType', event_type,
             'version', version,
             'source', source,
             'timestamp', payload->>'timestamp',
             'publishedAt', rfc3339(published_at),
             'payload', CASE WHEN octet_length(to_jsonb(payload::text)::text) <= 8000 THEN payload::text ELSE
                 jsonb_build_object(
                     'eventId', event_id, 'eventType', event_type, 'version', version, 'source', source,
                     'timestamp', payload->>'timestamp', 'correlationId', correlation_id, 'omitted', true
                 )::text
             END,
             'position', position
         )
         FROM outbox
         WHERE correlation_id = :correlation_id::uuid AND (:after::bigint IS NULL OR position > :after::bigint)
         ORDER BY position LIMIT :limit::bigint",
    );
    let list = list.bind("correlation_id", correlation_id).bind("after", after).bind("limit", limit);
    database.rows(list).await
}

/// The last entry first.
pub(crate) async fn audit_log(
    database: &Database,
    subject: Option<&str>,
    actor: Option<UserId>,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditEntry>, DatabaseError> {
    let list = Statement::read(
        "SELECT jsonb_build_object(
             'id', id::text,
             'at', rfc3339(at),
             'actorId', actor_id,
             'action', action,
             'subject', subject,
             'reason', reason,
             'correlationId', correlation_id
         )
         FROM audit_log
         WHERE (:subject::text IS NULL OR subject = :subject::text)
             AND (:actor::uuid IS NULL OR actor_id = :actor::uuid)
             AND (:after::bigint IS NULL OR id < :after::bigint)
         ORDER BY id DESC LIMIT :limit::bigint",
    );
    let list = list.bind("subject", subject).bind("actor", actor).bind("after", after).bind("limit", limit);
    database.rows(list).await
}

/// Forgets up to `limit` events that the bus took before `moment`; an event that it did not take has no such moment.
pub(crate) async fn forget_events(
    database: &Database,
    moment: Timestamp,
    limit: i64,
) -> Result<u64, DatabaseError> {
    let forget = Statement::new(
        "WITH old AS MATERIALIZED (
             SELECT event_id FROM outbox WHERE published_at < :moment::timestamptz
             ORDER BY published_at LIMIT :limit::bigint
         ), gone AS (
             DELETE FROM outbox WHERE event_id IN (SELECT event_id FROM old) RETURNING 1
         )
         SELECT to_jsonb(count(*)) FROM gone",
    );
    Ok(database.row(forget.bind("moment", moment).bind("limit", limit)).await?.unwrap_or_default())
}

/// Forgets up to `limit` notifications decided on before `moment`.
pub(crate) async fn forget_notifications(
    database: &Database,
    moment: Timestamp,
    limit: i64,
) -> Result<u64, DatabaseError> {
    let forget = Statement::new(
        "WITH old AS MATERIALIZED (
             SELECT event_id, channel FROM notifications WHERE created_at < :moment::timestamptz
             ORDER BY created_at LIMIT :limit::bigint
         ), gone AS (
             DELETE FROM notifications WHERE (event_id, channel) IN (SELECT event_id, channel FROM old) RETURNING 1
         )
         SELECT to_jsonb(count(*)) FROM gone",
    );
    Ok(database.row(forget.bind("moment", moment).bind("limit", limit)).await?.unwrap_or_default())
}
