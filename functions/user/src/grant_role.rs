//! Giving an account a role, by hand: an administrator with the right to invoke the function does it. The only way
//! to the first operator.

use serde::{Deserialize, Serialize};
use shared::{CorrelationId, Database, Failure, Reason, Role, Timestamp, UserId};

use crate::credentials::Email;
use crate::store;

/// The input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRole {
    pub(crate) email: Email,
    pub(crate) role: Role,
    pub(crate) reason: Reason,
}

/// What the account may do now.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Whose account it is.
    pub user_id: UserId,
    /// All its roles.
    pub roles: Vec<Role>,
    /// Whether this call changed them.
    pub granted: bool,
}

/// Adds a role; an account that has it keeps it. Takes effect with the account's next access token.
pub async fn grant_role(database: &Database, request: GrantRole, now: Timestamp) -> Result<Grant, Failure> {
    let grant = store::grant_role(database, &request, now, CorrelationId::new()).await?;
    grant.ok_or(Failure::NotFound("account"))
}
