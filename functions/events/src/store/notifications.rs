//! `notification_settings` and `notifications`. Deciding what is told is a function of migration 0013.

use serde::Deserialize;
use serde_json::json;
use shared::{Database, DatabaseError, EventId, Statement, Timestamp, UserId};

use crate::notification_settings::NotificationSettings;
use crate::notify::{Channel, Way};

/// None for an account that is gone.
pub(crate) async fn settings(
    database: &Database,
    user: UserId,
) -> Result<Option<NotificationSettings>, DatabaseError> {
    let find = Statement::read(
        "SELECT jsonb_build_object('email', COALESCE(email_too, true), 'push', COALESCE(push, true))
         FROM users LEFT JOIN (SELECT user_id, email AS email_too, push FROM notification_settings) AS settings
             ON settings.user_id = users.id
         WHERE users.id = :user::uuid AND users.deleted_at IS NULL",
    );
    database.row(find.bind("user", user)).await
}

/// What is none stays as it is. None for an account that is gone.
pub(crate) async fn set(
    database: &Database,
    user: UserId,
    email: Option<bool>,
    push: Option<bool>,
) -> Result<Option<NotificationSettings>, DatabaseError> {
    let set = Statement::new(
        "INSERT INTO notification_settings AS settings (user_id, email, push)
         SELECT id, COALESCE(:email::boolean, true), COALESCE(:push::boolean, true)
         FROM users WHERE id = :user::uuid AND deleted_at IS NULL
         ON CONFLICT (user_id) DO UPDATE
         SET email = COALESCE(:email::boolean, settings.email), push = COALESCE(:push::boolean, settings.push)
         RETURNING jsonb_build_object('email', settings.email, 'push', settings.push)",
    );
    database.row(set.bind("user", user).bind("email", email).bind("push", push)).await
}

/// Forgets a driver's settings.
pub(crate) async fn forget(database: &Database, user: UserId) -> Result<(), DatabaseError> {
    let forget = Statement::new("DELETE FROM notification_settings WHERE user_id = :user::uuid");
    database.rows::<serde::de::IgnoredAny>(forget.bind("user", user)).await.map(drop)
}

/// Whom to tell, and how.
#[derive(Debug, Deserialize)]
pub(crate) struct Recipient {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Those that nothing was sent on yet.
    pub(crate) channels: Vec<Channel>,
}

/// Decides, once an event, on which ways its driver is told. None for an account that is gone.
pub(crate) async fn claim(
    database: &Database,
    event: EventId,
    user: UserId,
    ways: &[Way],
    now: Timestamp,
) -> Result<Option<Recipient>, DatabaseError> {
    let claim = Statement::new(
        "SELECT claim_notification(:event::uuid, :user::uuid, :ways::jsonb, :now::timestamptz)",
    );
    let claim = claim.bind("event", event).bind("user", user).bind("ways", json!(ways)).bind("now", now);
    Ok(database.row::<Option<Recipient>>(claim).await?.flatten())
}

/// Notes what was told.
pub(crate) async fn mark(
    database: &Database,
    event: EventId,
    channels: &[Channel],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let mark = Statement::new(
        "UPDATE notifications SET sent_at = :now::timestamptz
         WHERE event_id = :event::uuid AND channel IN (SELECT jsonb_array_elements_text(:channels::jsonb))
             AND sent_at IS NULL",
    );
    let mark = mark.bind("event", event).bind("channels", json!(channels)).bind("now", now);
    database.rows::<serde::de::IgnoredAny>(mark).await.map(drop)
}
