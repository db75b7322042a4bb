//! What accounts may do.

use shared::{CorrelationId, Database, DatabaseError, Statement, Timestamp};

use crate::grant_role::{Grant, GrantRole};

/// The roles of the account with the request's address after it; none when there is no such account.
pub(crate) async fn grant_role(
    database: &Database,
    request: &GrantRole,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Option<Grant>, DatabaseError> {
    let grant = Statement::new(
        "WITH target AS (
             SELECT id, roles FROM users WHERE email = :email::text FOR UPDATE
         ), granted AS (
             UPDATE users SET roles = array_append(users.roles, :role::text), updated_at = :now::timestamptz
             FROM target WHERE users.id = target.id AND NOT :role::text = ANY (target.roles)
             RETURNING users.id, users.roles
         ), audited AS (
             INSERT INTO audit_log (at, action, subject, reason, correlation_id)
             SELECT :now::timestamptz, 'ROLE_GRANTED', id::text, :role::text || ': ' || :reason::text,
                    :correlation_id::uuid
             FROM granted
         )
         SELECT jsonb_build_object('userId', target.id, 'roles', COALESCE(granted.roles, target.roles),
                                   'granted', granted.id IS NOT NULL)
         FROM target LEFT JOIN granted USING (id)",
    );
    let grant = grant
        .bind("email", request.email.as_str())
        .bind("role", request.role.name())
        .bind("reason", request.reason.as_str())
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    database.row(grant).await
}
