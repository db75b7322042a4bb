//! Our account at the provider: one document in Secrets Manager, read when it is first needed, kept, and read again
//! after a while, since keys rotate.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use chrono::TimeDelta;
use serde::Deserialize;
use shared::{Failure, MissingSetting, Timestamp, setting};
use tokio::sync::Mutex;
use tracing::warn;

/// A key withdrawn from the secret is used no longer than this.
const MAX_AGE: TimeDelta = TimeDelta::minutes(5);
const UNAVAILABLE: Failure = Failure::Unavailable("the payment provider");

/// What the secret holds. Never shown, so it has no `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub(crate) api_key: String,
    /// What webhooks are signed with, as the provider shows it (`whsec_…`); two during a rotation.
    pub(crate) webhook_secrets: Vec<WebhookSecret>,
    /// Without a path: `https://api.stripe.com`.
    pub(crate) url: String,
}

/// At least 16 characters: with less, anybody could sign.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WebhookSecret(String);

impl TryFrom<String> for WebhookSecret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() >= 16 { Ok(Self(text)) } else { Err("a webhook secret is too short") }
    }
}

impl AsRef<[u8]> for WebhookSecret {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Where the account's document comes from.
pub struct AccountSecret {
    origin: Origin,
    kept: Mutex<Option<(Arc<Account>, Timestamp)>>,
}

enum Origin {
    SecretsManager { client: Client, arn: String },
    Given(Arc<Account>),
}

impl AccountSecret {
    /// From `PAYMENT_SECRET_ARN`; reads nothing yet.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        let origin =
            Origin::SecretsManager { client: Client::new(config), arn: setting("PAYMENT_SECRET_ARN")? };
        Ok(Self { origin, kept: Mutex::default() })
    }

    /// A document that is at hand.
    pub fn given(account: Account) -> Self {
        Self { origin: Origin::Given(Arc::new(account)), kept: Mutex::default() }
    }

    /// The account, no older than five minutes where the secret can be read. Fails as unavailable.
    pub(crate) async fn get(&self, now: Timestamp) -> Result<Arc<Account>, Failure> {
        let (client, arn) = match &self.origin {
            Origin::SecretsManager { client, arn } => (client, arn),
            Origin::Given(account) => return Ok(Arc::clone(account)),
        };
        let mut kept = self.kept.lock().await;
        if let Some((account, read_at)) = &*kept
            && now - *read_at < MAX_AGE
        {
            return Ok(Arc::clone(account));
        }
        match read(client, arn).await {
            Ok(account) => {
                let account = Arc::new(account);
                *kept = Some((Arc::clone(&account), now));
                Ok(account)
            }
            Err(failure) => match &*kept {
                Some((account, _)) => Ok(Arc::clone(account)),
                None => Err(failure),
            },
        }
    }
}

async fn read(client: &Client, arn: &str) -> Result<Account, Failure> {
    // On the heap: the SDK's futures nest so deeply that a handler around them overflows the compiler's limits.
    let answer = Box::pin(client.get_secret_value().secret_id(arn).send()).await.map_err(|error| {
        warn!(cause = %DisplayErrorContext(error), "the provider's secret cannot be read");
        UNAVAILABLE
    })?;
    serde_json::from_str(answer.secret_string().unwrap_or_default())
        .map_err(|_| Failure::fault("the provider's secret is not the document it should be"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_that_anybody_could_guess_is_no_secret() {
        let read = |secret: &str| {
            serde_json::from_value::<Account>(
                json!({ "apiKey": "sk_test_1", "webhookSecrets": [secret], "url": "http://127.0.0.1" }),
            )
        };
        assert!(read("").is_err());
        assert!(read("whsec_short").is_err());
        assert!(read("whsec_0123456789abcdef").is_ok());
    }
}
