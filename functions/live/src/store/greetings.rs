//! The queue by which new connections are greeted: the feed's own.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use serde_json::json;
use shared::{Failure, MissingSetting, setting};
use tracing::warn;

use crate::Greeting;

/// The queue of `LIVE_QUEUE_URL`.
pub struct Greetings {
    client: Client,
    queue_url: String,
}

impl Greetings {
    /// From `LIVE_QUEUE_URL`; connects at first use.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Client::new(config), setting("LIVE_QUEUE_URL")?))
    }

    /// The queue at that URL.
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        Self { client, queue_url: queue_url.into() }
    }

    /// Has the socket greeted.
    pub(crate) async fn send(&self, greeting: &Greeting) -> Result<(), Failure> {
        // Where the bus has an event's fields, so that one consumer reads both.
        let body = json!({ "detail": greeting }).to_string();
        match self.client.send_message().queue_url(&self.queue_url).message_body(body).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                warn!(cause = %DisplayErrorContext(&error), "not queued");
                Err(Failure::Unavailable("the live feed"))
            }
        }
    }
}
