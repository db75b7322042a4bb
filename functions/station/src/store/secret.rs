//! Secrets Manager: a JSON document by its ARN, read when it is first needed.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use serde::de::DeserializeOwned;
use shared::Failure;

/// The secret's document. Its content is never part of a failure.
pub(crate) async fn secret<T: DeserializeOwned>(config: &SdkConfig, arn: &str) -> Result<T, Failure> {
    let request = Client::new(config).get_secret_value().secret_id(arn).send();
    // Boxed: the client's futures nest deeper than the compiler follows.
    let answer = Box::pin(request).await.map_err(|error| {
        tracing::warn!(cause = %DisplayErrorContext(&error), "a secret cannot be read");
        Failure::Unavailable("the secret store")
    })?;
    serde_json::from_str(answer.secret_string().unwrap_or_default())
        .map_err(|_| Failure::fault(format!("the secret {arn} is not the document it should be")))
}
