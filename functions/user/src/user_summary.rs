//! An account as operators see it: enough to help, no more. Who looks is noted.

use serde::{Deserialize, Serialize};
use shared::{Caller, Database, Failure, Money, Role, Timestamp, UserId};

use crate::account::to_the_smallest_coin;
use crate::store;

/// Arguments of `Query.user`.
#[derive(Deserialize)]
pub struct ViewUser {
    id: UserId,
}

/// GraphQL `UserSummary`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSummary {
    id: UserId,
    email: String,
    name: String,
    roles: Vec<Role>,
    vehicle_count: i64,
    #[serde(serialize_with = "to_the_smallest_coin")]
    wallet_balance: Money,
    open_sessions: i64,
    unpaid_invoices: i64,
    created_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

/// Any account, deleted ones too. For operators alone.
pub async fn user_summary(
    database: &Database,
    caller: &Caller,
    ViewUser { id }: ViewUser,
) -> Result<UserSummary, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let seen = store::summary(database, id, operator, caller.at, caller.correlation_id).await?;
    let seen = seen.ok_or(Failure::NotFound("user"))?;
    Ok(UserSummary {
        id: seen.id,
        email: masked(&seen.email),
        name: initials(&seen.name),
        roles: seen.roles,
        vehicle_count: seen.vehicle_count,
        wallet_balance: seen.wallet_balance,
        open_sessions: seen.open_sessions,
        unpaid_invoices: seen.unpaid_invoices,
        created_at: seen.created_at,
        deleted_at: seen.deleted_at,
    })
}

/// `a***@example.com`; nothing for what is no address any more.
fn masked(email: &str) -> String {
    let parts = email.split_once('@').and_then(|(local, domain)| Some((local.chars().next()?, domain)));
    parts.map(|(first, domain)| format!("{first}***@{domain}")).unwrap_or_default()
}

/// `AL`: of the first three words.
fn initials(name: &str) -> String {
    let first = |word: &str| word.chars().next();
    name.split_whitespace().filter_map(first).take(3).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_sees_neither_address_nor_name() {
        assert_eq!(masked("ada.lovelace@example.com"), "a***@example.com");
        assert_eq!(masked("a@example.com"), "a***@example.com");
        assert_eq!(masked("deleted:018f0000-0000-7000-8000-000000000001"), "");
        assert_eq!(initials("Ada Lovelace"), "AL");
        assert_eq!(initials("émilie du Châtelet de Breteuil"), "ÉDC");
        assert_eq!(initials(""), "");
    }
}
