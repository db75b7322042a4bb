//! Hands a rule's events to the target that the bus cannot call, from the queue that stands in its place.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use lambda_host::Invoke;
use serde_json::Value;
use tracing::{error, warn};

use super::Mutate;
use super::queue::{MOST_AT_ONCE, Queue};
use super::rule_target::{Destination, RuleTarget};

/// EventBridge itself goes on for a day; here a target that fails so often will not succeed.
const MOST_RETRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);

/// A target at work.
pub(super) struct Delivery {
    pub(super) target: RuleTarget,
    pub(super) queue: Queue,
    pub(super) dead_letters: Option<Queue>,
    pub(super) invoke: Arc<dyn Invoke>,
    pub(super) mutate: Arc<dyn Mutate>,
}

impl Delivery {
    /// Delivers for ever, one event after the other: a subscriber sees them in the order they were put.
    pub(super) async fn run(self) {
        loop {
            match self.queue.receive(MOST_AT_ONCE, 20).await {
                Ok(messages) => {
                    for message in &messages {
                        self.deliver(message).await;
                        self.queue.delete(&[message]).await;
                    }
                }
                Err(problem) => {
                    warn!(rule = self.target.rule, "its queue cannot be read: {problem}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn deliver(&self, message: &Message) {
        let body = message.body().unwrap_or_default();
        let input = serde_json::from_str(body)
            .map_err(|error| error.to_string())
            .and_then(|event| self.target.input(&event, &ingestion_time(message)));
        let delivered = match input {
            Ok(input) => self.persist(input).await,
            Err(problem) => Err(problem),
        };
        let Err(problem) = delivered else { return };
        error!(rule = self.target.rule, event = body, "not delivered to {}: {problem}", self.target.arn());
        if let Some(queue) = &self.dead_letters {
            self.bury(queue, body, &problem).await;
        }
    }

    async fn persist(&self, input: Value) -> Result<(), String> {
        let retries = self.target.retries().unwrap_or(MOST_RETRIES);
        let mut wait = FIRST_WAIT;
        for _ in 0..retries.min(MOST_RETRIES) {
            match self.hand_over(input.clone()).await {
                Ok(()) => return Ok(()),
                Err(problem) => warn!(rule = self.target.rule, "refused, will try again: {problem}"),
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.hand_over(input).await
    }

    async fn hand_over(&self, input: Value) -> Result<(), String> {
        match &self.target.destination {
            Destination::Mutation { api_id, operation } => self.mutate.mutate(api_id, operation, input).await,
            Destination::Function { arn } => {
                let handed = self.invoke.invoke_event(arn, Bytes::from(input.to_string())).await;
                handed.map_err(|error| error.to_string())
            }
        }
    }

    /// With the attributes that EventBridge gives a dead letter.
    async fn bury(&self, queue: &Queue, body: &str, problem: &str) {
        let mut letter = queue.send(body);
        for (name, value) in [
            ("RULE_ARN", self.target.rule_arn.as_str()),
            ("TARGET_ARN", self.target.arn()),
            ("ERROR_CODE", "SDK_CLIENT_ERROR"),
            ("ERROR_MESSAGE", problem),
        ] {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            if let Ok(value) = value {
                letter = letter.message_attributes(name, value);
            }
        }
        if let Err(problem) = letter.send().await {
            let problem = aws_sdk_sqs::error::DisplayErrorContext(problem);
            error!(rule = self.target.rule, "dead letter lost: {problem}");
        }
    }
}

/// When the bus put the event into our queue, which is when it took it.
fn ingestion_time(message: &Message) -> String {
    let sent = message
        .attributes
        .as_ref()
        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp))
        .and_then(|sent| sent.parse().ok())
        .and_then(DateTime::from_timestamp_millis)
        .unwrap_or_else(Utc::now);
    sent.to_rfc3339_opts(SecondsFormat::Secs, true)
}
