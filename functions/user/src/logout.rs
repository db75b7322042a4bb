//! Logging out: a login ends with its refresh tokens. Access tokens that are out end by themselves, within minutes.

use serde::Deserialize;
use shared::{Caller, Database, Failure};
use tracing::info;

use crate::refresh_token::RefreshToken;
use crate::store;

/// Arguments of `Mutation.logout`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Logout {
    refresh_token: RefreshToken,
    everywhere: Option<bool>,
}

/// Ends the login that a refresh token belongs to, spent or not, or all logins of its account. Whoever holds the token
/// may; one that nobody knows, or that is revoked or expired, has no login left to end.
pub async fn logout(database: &Database, caller: &Caller, arguments: Logout) -> Result<bool, Failure> {
    let Logout { refresh_token, everywhere } = arguments;
    let tokens = store::log_out(database, &refresh_token, everywhere.unwrap_or_default(), caller.at).await?;
    info!(tokens, "logged out");
    Ok(true)
}
