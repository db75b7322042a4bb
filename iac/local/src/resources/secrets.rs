//! Secrets Manager: the foundation's secrets.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use futures::future::try_join_all;

use super::ResourceError;
use crate::foundation::Secret;

pub(super) async fn create(config: &SdkConfig, secrets: &[Secret]) -> Result<(), ResourceError> {
    let client = Client::new(config);
    let creations = secrets.iter().map(|secret| {
        let call = client.create_secret().name(secret.name).secret_string(&secret.value).send();
        async move { call.await.map_err(|error| ResourceError::refused(secret.name, error)) }
    });
    try_join_all(creations).await.map(drop)
}
