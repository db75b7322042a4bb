//! What a login yields: an access token, and the refresh token that fetches the next one.

use aws_config::SdkConfig;
use serde::Serialize;
use shared::{Failure, MissingSetting, Timestamp};

use crate::access_token::{self, LIFETIME, Parties};
use crate::account::Account;
use crate::keys::SigningKeys;
use crate::refresh_token::RefreshToken;

/// GraphQL `Tokens`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    access_token: String,
    /// Seconds.
    expires_in: i64,
    refresh_token: RefreshToken,
    user: Account,
}

/// Signs access tokens.
pub struct TokenIssuer {
    keys: SigningKeys,
    parties: Parties,
}

impl TokenIssuer {
    /// From `JWT_SIGNING_SECRET_ARN`, `JWT_ISSUER` and `JWT_AUDIENCE`; reads no secret yet.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self { keys: SigningKeys::from_env(config)?, parties: Parties::from_env()? })
    }

    /// Signs with the key in the secret of that ARN; reads nothing yet.
    pub fn new(config: &SdkConfig, signing_secret_arn: &str, parties: Parties) -> Self {
        Self { keys: SigningKeys::new(config, signing_secret_arn), parties }
    }

    /// Makes sure that [`TokenIssuer::issue`] will not fail, before anything is written that it must follow.
    pub(crate) async fn ready(&self, now: Timestamp) -> Result<(), Failure> {
        self.keys.current(now).await.map(drop)
    }

    /// The tokens of `user`, whose refresh token is in the store already.
    pub(crate) async fn issue(
        &self,
        user: Account,
        refresh_token: RefreshToken,
        now: Timestamp,
    ) -> Result<Tokens, Failure> {
        let key = self.keys.current(now).await?;
        let access_token = access_token::sign(&key, &self.parties, user.id, &user.roles, now)?;
        Ok(Tokens { access_token, expires_in: LIFETIME.num_seconds(), refresh_token, user })
    }
}
