//! Accounts in PostgreSQL. Each write is one statement; what it tells the bus is written with it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::{CorrelationId, Database, DatabaseError, Failure, Outbox, Statement, Timestamp, UserId};
use uuid::Uuid;

use crate::account::Account;
use crate::credentials::Email;
use crate::grant_role::{Grant, GrantRole};
use crate::refresh_token::RefreshToken;

/// A new account with its first login.
pub(crate) struct Opening<'a> {
    pub(crate) account: &'a Account,
    pub(crate) password_hash: String,
    pub(crate) id_tag: String,
    pub(crate) refresh_token: &'a RefreshToken,
    pub(crate) correlation_id: CorrelationId,
}

/// Writes it whole, or refuses an e-mail address that has an account.
pub(crate) async fn open_account(outbox: &Outbox, opening: Opening<'_>) -> Result<(), Failure> {
    let Opening { account, password_hash, id_tag, refresh_token, correlation_id } = opening;
    let open = Statement::new(
        "WITH account AS (
             INSERT INTO users (id, email, name, password_hash, id_tag, wallet_currency, created_at, updated_at)
             VALUES (:id::uuid, :email::text, :name::text, :password_hash::text, :id_tag::text, :currency::text,
                     :now::timestamptz, :now::timestamptz)
             RETURNING id, created_at
         ), cars AS (
             INSERT INTO vehicles (id, user_id, brand, model, battery_capacity_kwh, created_at)
             SELECT (car->>'id')::uuid, account.id, car->>'brand', car->>'model',
                    (car->>'batteryCapacity')::numeric, account.created_at
             FROM account, jsonb_array_elements(:vehicles::jsonb) AS car
         ), login AS (
             INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at)
             SELECT decode(:token::text, 'hex'), :family::uuid, account.id, account.created_at,
                    :expires_at::timestamptz
             FROM account
         )
         SELECT jsonb_build_object('outcome', NULL, 'events', jsonb_build_array(emit(
             'USER_REGISTERED', 1, 'user-service', :correlation_id::uuid, created_at,
             jsonb_build_object('userId', id, 'createdAt', rfc3339(created_at))
         )))
         FROM account",
    );
    let open = open
        .bind("id", account.id)
        .bind("email", account.email.as_str())
        .bind("name", account.name.as_str())
        .bind("password_hash", password_hash)
        .bind("id_tag", id_tag)
        .bind("currency", account.wallet_balance.currency())
        .bind("now", account.created_at)
        .bind("vehicles", serde_json::to_value(&account.vehicles).map_err(Failure::fault)?)
        .bind("token", refresh_token.hash())
        .bind("family", Uuid::now_v7())
        .bind("expires_at", RefreshToken::expiry(account.created_at))
        .bind("correlation_id", correlation_id);
    match outbox.write::<IgnoredAny>(open).await {
        Ok(_) => Ok(()),
        Err(error) if error.violates("users_email_key") => {
            Err(Failure::conflict("EMAIL_TAKEN", "this e-mail address has an account"))
        }
        Err(error) => Err(error.into()),
    }
}

/// An account and what its password is held against.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToLogIn {
    pub(crate) password_hash: String,
    pub(crate) account: Account,
}

pub(crate) async fn account_to_log_in(
    database: &Database,
    email: &Email,
) -> Result<Option<ToLogIn>, DatabaseError> {
    let find = Statement::new(
        "SELECT jsonb_build_object('passwordHash', password_hash, 'account', account_document(users))
         FROM users WHERE email = :email::text",
    );
    database.row(find.bind("email", email.as_str())).await
}

pub(crate) async fn account(database: &Database, id: UserId) -> Result<Option<Account>, DatabaseError> {
    let find = Statement::new("SELECT account_document(users) FROM users WHERE id = :id::uuid");
    database.row(find.bind("id", id)).await
}

/// Keeps the first refresh token of a new family, and forgets the account's expired ones.
pub(crate) async fn begin_login(
    database: &Database,
    user: UserId,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let begin = Statement::new(
        "WITH expired AS (
             DELETE FROM refresh_tokens WHERE user_id = :user::uuid AND expires_at <= :now::timestamptz
         )
         INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at)
         VALUES (decode(:token::text, 'hex'), :family::uuid, :user::uuid, :now::timestamptz,
                 :expires_at::timestamptz)",
    );
    let begin = begin
        .bind("user", user)
        .bind("now", now)
        .bind("token", token.hash())
        .bind("family", Uuid::now_v7())
        .bind("expires_at", RefreshToken::expiry(now));
    database.rows::<IgnoredAny>(begin).await.map(drop)
}

/// What became of a refresh token that was presented.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "UPPERCASE")]
pub(crate) enum Rotation {
    /// Spent; the fresh one is kept.
    Rotated {
        /// As it is now, roles included.
        account: Box<Account>,
    },
    /// Spent before, too long ago for a retry: its family is revoked now.
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
    fresh: &RefreshToken,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Rotation, DatabaseError> {
    let rotate = Statement::new(
        "SELECT rotate_refresh_token(decode(:spent::text, 'hex'), decode(:fresh::text, 'hex'),
                                     :now::timestamptz, :expires_at::timestamptz, :correlation_id::uuid)",
    );
    let rotate = rotate
        .bind("spent", spent.hash())
        .bind("fresh", fresh.hash())
        .bind("now", now)
        .bind("expires_at", RefreshToken::expiry(now))
        .bind("correlation_id", correlation_id);
    Ok(database.row(rotate).await?.unwrap_or(Rotation::Unknown))
}

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
