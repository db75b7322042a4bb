//! A stack's queues from behind: messages put into them, looked at, and how long one stays hidden.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use aws_sdk_sqs::{Client, types};

use crate::Result;
use crate::stack::Stack;

/// SQS takes and gives no more at once.
const BATCH: usize = 10;

/// The queues of one stack.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    client: Client,
}

/// One of them, by its URL.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    client: Client,
    /// Its URL.
    pub(super) url: String,
}

/// What an SDK client of this machine's AWS services needs to know.
pub(super) async fn sdk_config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .load()
        .await
}

impl Queues {
    /// Those of `stack`.
    pub(super) async fn of(stack: &Stack) -> Self {
        Self { client: Client::new(&sdk_config(&stack.aws_url).await) }
    }

    /// The template's queue of that logical id.
    pub(super) fn queue(&self, stack: &Stack, logical_id: &str) -> Result<Queue> {
        let url = stack.resources.get(logical_id).ok_or_else(|| format!("no queue {logical_id}"))?;
        Ok(Queue { client: self.client.clone(), url: url.clone() })
    }

    /// A queue of the proof's own.
    pub(super) async fn create(&self, name: &str) -> Result<Queue> {
        let created = self.client.create_queue().queue_name(name).send().await?;
        let url = created.queue_url.ok_or("a queue without URL")?;
        Ok(Queue { client: self.client.clone(), url })
    }
}

impl Queue {
    /// Its ARN.
    pub(super) async fn arn(&self) -> Result<String> {
        self.attribute(QueueAttributeName::QueueArn).await
    }

    /// How long a message that was received stays hidden from now on.
    pub(super) async fn hide_for(&self, seconds: u32) -> Result<()> {
        let request = self.client.set_queue_attributes().queue_url(&self.url);
        let request = request.attributes(QueueAttributeName::VisibilityTimeout, seconds.to_string());
        request.send().await?;
        Ok(())
    }

    /// Puts messages into it, ten at a time.
    pub(super) async fn send(&self, bodies: &[String]) -> Result<()> {
        for batch in bodies.chunks(BATCH) {
            let entries = batch.iter().enumerate().map(|(index, body)| {
                SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build()
            });
            let request = self.client.send_message_batch().queue_url(&self.url);
            let sent =
                request.set_entries(Some(entries.collect::<std::result::Result<_, _>>()?)).send().await?;
            if let Some(failed) = sent.failed.first() {
                return Err(format!("a message was not taken: {failed:?}").into());
            }
        }
        Ok(())
    }

    /// Takes out everything that is there now.
    pub(super) async fn drain(&self) -> Result<Vec<String>> {
        let mut bodies = Vec::new();
        loop {
            let request = self.client.receive_message().queue_url(&self.url);
            let got = request.max_number_of_messages(10).send().await?.messages.unwrap_or_default();
            if got.is_empty() {
                return Ok(bodies);
            }
            let entries = got.iter().enumerate().map(|(index, message)| {
                let entry = types::DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.set_receipt_handle(message.receipt_handle.clone()).build()
            });
            let request = self.client.delete_message_batch().queue_url(&self.url);
            request.set_entries(Some(entries.collect::<std::result::Result<_, _>>()?)).send().await?;
            bodies.extend(got.into_iter().filter_map(|message| message.body));
        }
    }

    /// How many messages it holds, hidden ones included.
    pub(super) async fn depth(&self) -> Result<u64> {
        let waiting = self.attribute(QueueAttributeName::ApproximateNumberOfMessages).await?;
        let hidden = self.attribute(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await?;
        Ok(waiting.parse::<u64>()? + hidden.parse::<u64>()?)
    }

    async fn attribute(&self, name: QueueAttributeName) -> Result<String> {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = request.attribute_names(name.clone()).send().await?;
        let value = answer.attributes.and_then(|mut attributes| attributes.remove(&name));
        Ok(value.ok_or_else(|| format!("{} has no {name}", self.url))?)
    }
}
