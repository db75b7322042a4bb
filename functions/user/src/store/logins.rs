//! Logins: the refresh tokens that keep them, and the password that begins them.

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::{CorrelationId, Database, DatabaseError, Statement, Timestamp, UserId};
use uuid::Uuid;

use crate::account::Account;
use crate::refresh_token::{RefreshToken, Seed};

/// Keeps the first refresh token of a new family, and forgets the account's expired ones. False when the password is
/// no longer the verified one, or the account is gone: the row's lock waits for whoever changes that just now. Sent
/// again because its answer was lost, it finds its own token kept.
pub(crate) async fn begin_login(
    database: &Database,
    user: UserId,
    verified_hash: &str,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let begin = Statement::new(
        "WITH account AS (
             SELECT id FROM users
             WHERE id = :user::uuid AND password_hash = :verified::text AND deleted_at IS NULL
             FOR NO KEY UPDATE
         ), expired AS (
             DELETE FROM refresh_tokens WHERE user_id = :user::uuid AND expires_at <= :now::timestamptz
         )
         INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at)
         SELECT decode(:token::text, 'hex'), :family::uuid, id, :now::timestamptz, :expires_at::timestamptz
         FROM account
         ON CONFLICT (token_hash) DO UPDATE SET user_id = excluded.user_id
             WHERE refresh_tokens.user_id = excluded.user_id
         RETURNING to_jsonb(true)",
    );
    let begin = begin
        .bind("user", user)
        .bind("verified", verified_hash)
        .bind("now", now)
        .bind("token", token.hash())
        .bind("family", Uuid::now_v7())
        .bind("expires_at", RefreshToken::expiry(now));
    Ok(database.row::<IgnoredAny>(begin).await?.is_some())
}

/// What became of a refresh token that was presented.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "UPPERCASE")]
pub(crate) enum Rotation {
    /// Spent, now or moments ago.
    Rotated {
        /// What its one successor is derived from; that is kept.
        seed: Seed,
        /// As it is now, roles included.
        account: Box<Account>,
    },
    /// Spent before, by somebody who has the answer: its family is revoked now.
    Reused,
    /// Its family was revoked before.
    Revoked,
    Expired,
    /// Never issued, or expired long ago.
    Unknown,
}

pub(crate) async fn rotate(
    database: &Database,
    spent: &RefreshToken,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Rotation, DatabaseError> {
    let seed = Seed::generate();
    let rotate = Statement::new(
        "SELECT rotate_refresh_token(decode(:spent::text, 'hex'), decode(:seed::text, 'hex'),
                                     decode(:fresh::text, 'hex'), :now::timestamptz, :expires_at::timestamptz,
                                     :correlation_id::uuid)",
    );
    let rotate = rotate
        .bind("spent", spent.hash())
        .bind("fresh", spent.successor(&seed).hash())
        .bind("seed", seed.to_hex())
        .bind("now", now)
        .bind("expires_at", RefreshToken::expiry(now))
        .bind("correlation_id", correlation_id);
    Ok(database.row(rotate).await?.unwrap_or(Rotation::Unknown))
}

/// How many tokens were good until now.
pub(crate) async fn log_out(
    database: &Database,
    token: &RefreshToken,
    everywhere: bool,
    now: Timestamp,
) -> Result<i64, DatabaseError> {
    let end = Statement::new(
        "SELECT to_jsonb(log_out(decode(:token::text, 'hex'), :everywhere::boolean, :now::timestamptz))",
    );
    let end = end.bind("token", token.hash()).bind("everywhere", everywhere).bind("now", now);
    Ok(database.row(end).await?.unwrap_or_default())
}

/// Another password for an account.
pub(crate) struct NewPassword<'a> {
    pub(crate) owner: UserId,
    /// The hash of the one that was shown.
    pub(crate) verified_hash: &'a str,
    pub(crate) hash: String,
    /// The only login that is left.
    pub(crate) refresh_token: &'a RefreshToken,
    pub(crate) now: Timestamp,
    pub(crate) correlation_id: CorrelationId,
}

/// Sets it, ends all logins and begins one. False when the password is no longer the verified one.
pub(crate) async fn change_password(
    database: &Database,
    new: NewPassword<'_>,
) -> Result<bool, DatabaseError> {
    let change = Statement::new(
        "SELECT to_jsonb(change_password(
             :owner::uuid, :verified::text, :hash::text, decode(:token::text, 'hex'), :family::uuid,
             :expires_at::timestamptz, :now::timestamptz, :correlation_id::uuid))",
    );
    let change = change
        .bind("owner", new.owner)
        .bind("verified", new.verified_hash)
        .bind("hash", new.hash)
        .bind("token", new.refresh_token.hash())
        .bind("family", Uuid::now_v7())
        .bind("expires_at", RefreshToken::expiry(new.now))
        .bind("now", new.now)
        .bind("correlation_id", new.correlation_id);
    Ok(database.row(change).await?.unwrap_or_default())
}
