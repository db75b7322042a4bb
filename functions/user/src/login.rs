//! Logging in. An address without an account and a wrong password look alike, in words and in time.

use serde::Deserialize;
use shared::{Cache, Caller, Database, Failure};

use crate::credentials::{Email, Password};
use crate::limit::Attempt;
use crate::password;
use crate::refresh_token::RefreshToken;
use crate::store::{self, WithPassword};
use crate::tokens::{TokenIssuer, Tokens};

/// Arguments of `Mutation.login`.
#[derive(Deserialize)]
pub struct Login {
    input: Input,
}

#[derive(Deserialize)]
struct Input {
    email: Email,
    password: Password,
}

/// Trades an e-mail address and a password for tokens.
pub async fn login(
    database: &Database,
    cache: &Cache,
    issuer: &TokenIssuer,
    caller: &Caller,
    Login { input }: Login,
) -> Result<Tokens, Failure> {
    let attempt = Attempt::new(&input.email, caller.source_ip.as_deref());
    attempt.admit(cache).await?;
    let found = store::account_to_log_in(database, &input.email).await?;
    let is_right =
        password::verify(&input.password, found.as_ref().map(|found| found.password_hash.as_str()))?;
    let wrong = Failure::Unauthenticated("the e-mail address or the password is wrong");
    let Some(WithPassword { account, password_hash }) = found.filter(|_| is_right) else { return Err(wrong) };
    attempt.succeeded(cache).await;
    let refresh_token = RefreshToken::generate();
    issuer.ready(caller.at).await?;
    if !store::begin_login(database, account.id, &password_hash, &refresh_token, caller.at).await? {
        return Err(wrong);
    }
    issuer.issue(account, refresh_token, caller.at).await
}
