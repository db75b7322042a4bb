//! Opening, reading, changing and erasing accounts.

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::{
    CorrelationId, Database, DatabaseError, Failure, Money, Outbox, Role, Statement, Timestamp, UserId,
};
use uuid::Uuid;

use crate::account::Account;
use crate::credentials::{Email, Name};
use crate::refresh_token::RefreshToken;

/// A new account with its first login.
pub(crate) struct Opening<'a> {
    pub(crate) account: &'a Account,
    pub(crate) password_hash: String,
    pub(crate) id_tag: String,
    pub(crate) refresh_token: &'a RefreshToken,
    pub(crate) correlation_id: CorrelationId,
}

/// Writes it whole, or refuses an e-mail address that has an account. Sent again because its answer was lost, it is
/// refused by what itself wrote: then the account is there, and its event in the outbox.
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
        Err(error) if error.violates("users_pkey") || error.violates("users_email_key") => {
            let own = self::account(outbox.database(), account.id).await?;
            own.map(drop).ok_or_else(|| unless_taken(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// An account and what its password is held against.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WithPassword {
    pub(crate) password_hash: String,
    pub(crate) account: Account,
}

pub(crate) async fn account_to_log_in(
    database: &Database,
    email: &Email,
) -> Result<Option<WithPassword>, DatabaseError> {
    let find = Statement::read(
        "SELECT jsonb_build_object('passwordHash', password_hash, 'account', account_document(users))
         FROM users WHERE email = :email::text AND deleted_at IS NULL",
    );
    database.row(find.bind("email", email.as_str())).await
}

pub(crate) async fn account_to_prove(
    database: &Database,
    id: UserId,
) -> Result<Option<WithPassword>, DatabaseError> {
    let find = Statement::read(
        "SELECT jsonb_build_object('passwordHash', password_hash, 'account', account_document(users))
         FROM users WHERE id = :id::uuid AND deleted_at IS NULL",
    );
    database.row(find.bind("id", id)).await
}

pub(crate) async fn account(database: &Database, id: UserId) -> Result<Option<Account>, DatabaseError> {
    let find = Statement::read(
        "SELECT account_document(users) FROM users WHERE id = :id::uuid AND deleted_at IS NULL",
    );
    database.row(find.bind("id", id)).await
}

/// What becomes different of a profile; what is none stays.
pub(crate) struct Profile<'a> {
    pub(crate) owner: UserId,
    pub(crate) name: Option<&'a Name>,
    /// The new address, and the hash of the password that was shown for it.
    pub(crate) email: Option<(&'a Email, &'a str)>,
    pub(crate) now: Timestamp,
    pub(crate) correlation_id: CorrelationId,
}

/// The account after it; none when it is gone, or its password another by now. An address that has an account is
/// refused. Sent again because its answer was lost, it finds the address moved already.
pub(crate) async fn update_profile(
    database: &Database,
    profile: Profile<'_>,
) -> Result<Option<Account>, Failure> {
    let Profile { owner, name, email, now, correlation_id } = profile;
    let update = Statement::new(
        "WITH before AS (
             SELECT id, email FROM users
             WHERE id = :owner::uuid AND deleted_at IS NULL
                 AND (:verified::text IS NULL OR password_hash = :verified::text)
             FOR UPDATE
         ), account AS (
             UPDATE users
             SET name = COALESCE(:name::text, users.name), email = COALESCE(:email::text, users.email),
                 updated_at = GREATEST(users.updated_at, :now::timestamptz)
             FROM before WHERE users.id = before.id
             RETURNING account_document(users) AS document, users.email <> before.email AS is_moved
         ), audited AS (
             INSERT INTO audit_log (at, actor_id, action, subject, correlation_id)
             SELECT :now::timestamptz, :owner::uuid, 'EMAIL_CHANGED', :owner::uuid::text, :correlation_id::uuid
             FROM account WHERE is_moved
         )
         SELECT document FROM account",
    );
    let update = update
        .bind("owner", owner)
        .bind("name", name.map(Name::as_str))
        .bind("email", email.map(|(email, _)| email.as_str()))
        .bind("verified", email.map(|(_, verified)| verified))
        .bind("now", now)
        .bind("correlation_id", correlation_id)
        .repeatable();
    database.row(update).await.map_err(unless_taken)
}

fn unless_taken(error: DatabaseError) -> Failure {
    if error.violates("users_email_key") {
        Failure::conflict("EMAIL_TAKEN", "this e-mail address has an account")
    } else {
        error.into()
    }
}

/// An account to be erased.
pub(crate) struct Deletion<'a> {
    pub(crate) owner: UserId,
    /// The hash of the password that was shown.
    pub(crate) verified_hash: &'a str,
    /// Whether the wallet's money is given up.
    pub(crate) forfeit: bool,
    pub(crate) now: Timestamp,
    pub(crate) correlation_id: CorrelationId,
}

/// What kept an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Obstacle {
    /// The password is another by now, or the account is gone.
    Changed,
    SessionOpen,
    /// Or its card is being charged.
    BookingOpen,
    /// Or not written yet.
    InvoicesUnpaid,
    PaymentPending,
    WalletNotEmpty,
}

/// Erases it, or says what stands in the way.
pub(crate) async fn delete_account(
    outbox: &Outbox,
    deletion: Deletion<'_>,
) -> Result<Option<Obstacle>, Failure> {
    #[derive(Deserialize)]
    struct Outcome {
        /// None when it is erased.
        obstacle: Option<Obstacle>,
    }
    let delete = Statement::new(
        "SELECT delete_account(:owner::uuid, :verified::text, :forfeit::boolean, :entry::uuid, :now::timestamptz,
                               :correlation_id::uuid)",
    );
    let delete = delete
        .bind("owner", deletion.owner)
        .bind("verified", deletion.verified_hash)
        .bind("forfeit", deletion.forfeit)
        .bind("entry", Uuid::now_v7())
        .bind("now", deletion.now)
        .bind("correlation_id", deletion.correlation_id);
    let outcome: Option<Outcome> = outbox.write(delete).await?;
    let outcome = outcome.ok_or_else(|| Failure::fault("delete_account said nothing"))?;
    Ok(outcome.obstacle)
}

/// What is read of an account for an operator.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    pub(crate) id: UserId,
    /// No address once the account is deleted.
    pub(crate) email: String,
    /// Nothing once the account is deleted.
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) vehicle_count: i64,
    pub(crate) wallet_balance: Money,
    pub(crate) open_sessions: i64,
    pub(crate) unpaid_invoices: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
}

/// Reads an account, deleted or not, and notes who looked.
pub(crate) async fn summary(
    database: &Database,
    id: UserId,
    operator: UserId,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Option<Seen>, DatabaseError> {
    let look = Statement::new(
        "WITH audited AS (
             INSERT INTO audit_log (at, actor_id, action, subject, correlation_id)
             SELECT :now::timestamptz, :operator::uuid, 'USER_VIEWED', id::text, :correlation_id::uuid
             FROM users WHERE id = :id::uuid
         )
         SELECT jsonb_build_object(
             'id', id, 'email', email, 'name', name, 'roles', to_jsonb(roles),
             'vehicleCount', (SELECT count(*) FROM vehicles WHERE user_id = users.id),
             'walletBalance', jsonb_build_object('amount', wallet_balance::text, 'currency', wallet_currency),
             'openSessions', (SELECT count(*) FROM open_sessions WHERE user_id = users.id),
             'unpaidInvoices', (
                 SELECT count(*) FROM invoices WHERE user_id = users.id AND status IN ('PENDING', 'OVERDUE')
             ),
             'createdAt', rfc3339(created_at),
             'deletedAt', rfc3339(deleted_at)
         )
         FROM users WHERE id = :id::uuid",
    );
    let look = look
        .bind("id", id)
        .bind("operator", operator)
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    database.row(look).await
}
