//! The way out: API Gateway's `@connections`.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::Builder;
use aws_sdk_apigatewaymanagement::error::DisplayErrorContext;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use shared::{Failure, MissingSetting, setting};
use tracing::warn;

use crate::SocketId;

/// A post that failed is tried again at once and once more: the others that wait for their news wait little. One that
/// is not answered at all is not: it may have arrived, or arrive yet.
const TRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(40);
const ALL_TRIES: Duration = Duration::from_secs(3);

/// The WebSocket API whose management endpoint is `LIVE_MANAGEMENT_URL`.
pub struct Sockets {
    client: Client,
}

/// Whether API Gateway has such a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// It has, and has taken what was for it.
    There,
    /// It has none, or none yet.
    Gone,
}

impl Sockets {
    /// From `LIVE_MANAGEMENT_URL`; connects at first use.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(config, &setting("LIVE_MANAGEMENT_URL")?))
    }

    /// The API whose management endpoint that is.
    pub fn new(config: &SdkConfig, url: &str) -> Self {
        let retries = RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(FIRST_WAIT);
        let timeouts = TimeoutConfig::builder().operation_timeout(ALL_TRIES);
        let config = Builder::from(config)
            .endpoint_url(url)
            .retry_config(retries)
            .timeout_config(timeouts.build())
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// Sends a frame.
    pub(crate) async fn post(&self, socket: &SocketId, frame: &str) -> Result<Sighting, Failure> {
        let post = self.client.post_to_connection().connection_id(socket.as_str()).data(Blob::new(frame));
        match post.send().await {
            Ok(_) => Ok(Sighting::There),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_gone_exception()) => {
                Ok(Sighting::Gone)
            }
            Err(error) => {
                warn!(cause = %DisplayErrorContext(&error), "not posted");
                Err(Failure::Unavailable("a socket"))
            }
        }
    }

    /// Looks whether it is open.
    pub(crate) async fn look(&self, socket: &SocketId) -> Result<Sighting, Failure> {
        match self.client.get_connection().connection_id(socket.as_str()).send().await {
            Ok(_) => Ok(Sighting::There),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_gone_exception()) => {
                Ok(Sighting::Gone)
            }
            Err(error) => {
                warn!(cause = %DisplayErrorContext(&error), "not looked at");
                Err(Failure::Unavailable("a socket"))
            }
        }
    }

    /// Closes it; one that is closed already is no matter.
    pub(crate) async fn hang_up(&self, socket: &SocketId) -> Result<(), Failure> {
        match self.client.delete_connection().connection_id(socket.as_str()).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_gone_exception()) => Ok(()),
            Err(error) => {
                warn!(cause = %DisplayErrorContext(&error), "not hung up");
                Err(Failure::Unavailable("a socket"))
            }
        }
    }
}
