//! A secret in Secrets Manager that may be replaced by whoever has seen what it replaces.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use shared::{Failure, Timestamp};
use tracing::warn;
use uuid::Uuid;

const UNAVAILABLE: Failure = Failure::Unavailable("the token service");
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

/// One secret, by its ARN.
pub(crate) struct Secret {
    client: Client,
    arn: String,
}

/// What a secret held at one time.
pub(crate) struct Version {
    pub(crate) text: String,
    pub(crate) created_at: Timestamp,
    id: String,
}

impl Secret {
    pub(crate) fn new(config: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { client: Client::new(config), arn: arn.into() }
    }

    /// What it holds.
    pub(crate) async fn read(&self) -> Result<String, Failure> {
        self.version().await.map(|version| version.text)
    }

    /// What it holds, with what [`Secret::replace`] needs.
    pub(crate) async fn version(&self) -> Result<Version, Failure> {
        let answer = Box::pin(self.client.get_secret_value().secret_id(&self.arn).send()).await;
        let answer = answer.map_err(|error| {
            warn!(cause = %DisplayErrorContext(error), "a secret cannot be read");
            UNAVAILABLE
        })?;
        let created_at = answer.created_date.and_then(|date| Timestamp::from_timestamp(date.secs(), 0));
        Ok(Version {
            text: answer.secret_string.ok_or(UNAVAILABLE)?,
            created_at: created_at.unwrap_or_default(),
            id: answer.version_id.unwrap_or_default(),
        })
    }

    /// Puts `text` in the place of `seen`. False, and nothing is changed, when that is not what the secret holds any
    /// more: the label moves from the version that it is said to be on, or not at all.
    pub(crate) async fn replace(&self, seen: &Version, text: String) -> Result<bool, Failure> {
        let failed = |cause: String| {
            warn!(cause, "a secret cannot be written");
            UNAVAILABLE
        };
        let put = self.client.put_secret_value().secret_id(&self.arn).secret_string(text);
        let put = put.client_request_token(Uuid::new_v4().to_string()).version_stages(PENDING);
        let put = Box::pin(put.send()).await;
        let put = put.map_err(|error| failed(DisplayErrorContext(error).to_string()))?;

        let promote = self.client.update_secret_version_stage().secret_id(&self.arn).version_stage(CURRENT);
        let promote = promote.remove_from_version_id(&seen.id).set_move_to_version_id(put.version_id);
        match Box::pin(promote.send()).await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_invalid_parameter_exception()) => {
                Ok(false)
            }
            Err(error) => Err(failed(DisplayErrorContext(error).to_string())),
        }
    }
}
