//! Changing the password. Whoever else is logged in is so no more, be it the thief that it is changed for.

use serde::Deserialize;
use shared::{Cache, Caller, Database, Failure};

use crate::credentials::Password;
use crate::me::GONE;
use crate::password;
use crate::proof::{prove, wrong};
use crate::refresh_token::RefreshToken;
use crate::store::{self, NewPassword};
use crate::tokens::{TokenIssuer, Tokens};

const CURRENT: &str = "input.currentPassword";
const NEW: &str = "input.newPassword";

/// Arguments of `Mutation.changePassword`.
#[derive(Deserialize)]
pub struct ChangePassword {
    input: Input,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    current_password: Password,
    new_password: Password,
}

/// Sets a new password for who knows the current one, ends every login and begins a new one.
pub async fn change_password(
    database: &Database,
    cache: &Cache,
    issuer: &TokenIssuer,
    caller: &Caller,
    ChangePassword { input: Input { current_password, new_password } }: ChangePassword,
) -> Result<Tokens, Failure> {
    let found = store::account_to_prove(database, caller.user()?.id).await?.ok_or(GONE)?;
    prove(cache, caller, &found, &current_password, CURRENT).await?;
    new_password.check_for(&found.account.email, &found.account.name, NEW)?;
    if new_password == current_password {
        return Err(Failure::invalid(NEW, "is the current password"));
    }
    issuer.ready(caller.at).await?;
    let refresh_token = RefreshToken::generate();
    let new = NewPassword {
        owner: found.account.id,
        verified_hash: &found.password_hash,
        hash: password::hash(&new_password)?,
        refresh_token: &refresh_token,
        now: caller.at,
        correlation_id: caller.correlation_id,
    };
    if !store::change_password(database, new).await? {
        return Err(wrong(CURRENT));
    }
    issuer.issue(found.account, refresh_token, caller.at).await
}
