//! Holds in PostgreSQL: those taken while Redis is gone, and the mirror of the others.

use serde::Deserialize;
use serde_json::json;
use shared::{CorrelationId, Database, DatabaseError, Failure, Outbox, Statement, Timestamp, UserId};

use crate::hold::Hold;
use crate::hold_token::HoldToken;

/// What `hold_slot` came to.
#[derive(Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub(crate) enum Outcome {
    /// Now, or earlier by the same request.
    Taken {
        token: HoldToken,
        expires_at: Timestamp,
    },
    Overlaps,
    TooMany,
    NoAccount,
    NoConnector,
}

/// Takes `hold` in the database, and tells of it.
pub(crate) async fn take(
    outbox: &Outbox,
    hold: &Hold,
    most: u32,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Outcome, Failure> {
    let write = Statement::new(
        "SELECT hold_slot(:hold::jsonb, :most::integer, :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("hold", json!(hold))
        .bind("most", i64::from(most))
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("hold_slot gave no row"))
}

/// Gives a hold of the user's back: the one that Redis knew, or what the database has of that name. Gives it, if there is
/// one.
pub(crate) async fn release(
    database: &Database,
    token: &HoldToken,
    user: UserId,
    known: Option<&Hold>,
    now: Timestamp,
) -> Result<Option<Hold>, DatabaseError> {
    let write =
        Statement::new("SELECT release_hold(:token::text, :user::uuid, :known::jsonb, :now::timestamptz)");
    let write = write
        .bind("token", token.as_str())
        .bind("user", user)
        .bind("known", known.map(|hold| json!(hold)))
        .bind("now", now);
    database.row(write).await
}
