//! The way out: API Gateway's `@connections`.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::error::DisplayErrorContext;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use shared::{Failure, MissingSetting, setting};
use tracing::warn;

use crate::{Posted, Sockets};

/// The WebSocket API whose management endpoint is `OCPP_MANAGEMENT_URL`.
pub struct ApiSockets {
    client: Client,
}

impl ApiSockets {
    /// From `OCPP_MANAGEMENT_URL`; connects at first use.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        let url = setting("OCPP_MANAGEMENT_URL")?;
        let config = aws_sdk_apigatewaymanagement::config::Builder::from(config).endpoint_url(url).build();
        Ok(Self { client: Client::from_conf(config) })
    }
}

#[async_trait(?Send)]
impl Sockets for ApiSockets {
    async fn post(&self, connection_id: &str, frame: &str) -> Result<Posted, Failure> {
        let post = self.client.post_to_connection().connection_id(connection_id).data(Blob::new(frame));
        match post.send().await {
            Ok(_) => Ok(Posted::Sent),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_gone_exception()) => {
                Ok(Posted::Gone)
            }
            Err(error) => {
                warn!(cause = %DisplayErrorContext(&error), "not posted");
                Err(Failure::Unavailable("the charger's connection"))
            }
        }
    }

    async fn hang_up(&self, connection_id: &str) -> Result<(), Failure> {
        match self.client.delete_connection().connection_id(connection_id).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_gone_exception()) => Ok(()),
            Err(error) => {
                warn!(cause = %DisplayErrorContext(&error), "not hung up");
                Err(Failure::Unavailable("the charger's connection"))
            }
        }
    }
}
