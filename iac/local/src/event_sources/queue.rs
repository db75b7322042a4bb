//! One SQS queue as its readers see it: long polls, and deletion in batches.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use tracing::warn;

use super::EventSourceError;

/// SQS's limits on one receive and one delete, and on one long poll in seconds.
pub(super) const MOST_AT_ONCE: usize = 10;
const LONGEST_POLL: u64 = 20;

/// A queue that is known to exist.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    client: Client,
    url: String,
    pub(super) arn: String,
}

impl Queue {
    pub(super) async fn open(client: &Client, arn: &str) -> Result<Self, EventSourceError> {
        let name = super::arn_field(arn, 5);
        let found = client.get_queue_url().queue_name(name).send().await;
        let found = found.map_err(|error| EventSourceError::service(arn, error))?;
        Ok(Self { client: client.clone(), url: found.queue_url.unwrap_or_default(), arn: arn.to_owned() })
    }

    /// Creates it, or takes it as it is.
    pub(super) async fn create(client: &Client, name: &str) -> Result<Self, EventSourceError> {
        let wrong = |error| EventSourceError::service(name, error);
        let created = client.create_queue().queue_name(name).send().await;
        let url =
            created.map_err(|error| EventSourceError::service(name, error))?.queue_url.unwrap_or_default();
        let arn = aws_sdk_sqs::types::QueueAttributeName::QueueArn;
        let request = client.get_queue_attributes().queue_url(&url).attribute_names(arn.clone());
        let attributes = request.send().await.map_err(wrong)?.attributes.unwrap_or_default();
        let arn = attributes.get(&arn).cloned().unwrap_or_default();
        Ok(Self { client: client.clone(), url, arn })
    }

    /// Waits for messages, at most `seconds` (20 is the most); returns as soon as there is one.
    pub(super) async fn receive(&self, most: usize, seconds: u64) -> Result<Vec<Message>, String> {
        let most = i32::try_from(most.min(MOST_AT_ONCE)).unwrap_or(1);
        let wait = i32::try_from(seconds.min(LONGEST_POLL)).unwrap_or(0);
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(most)
            .wait_time_seconds(wait)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| DisplayErrorContext(error).to_string())?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Deletes what was dealt with. A message that cannot be deleted comes again, as on AWS.
    pub(super) async fn delete(&self, messages: &[&Message]) {
        for chunk in messages.chunks(MOST_AT_ONCE) {
            let entries = chunk.iter().enumerate().filter_map(|(index, message)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.set_receipt_handle(message.receipt_handle.clone()).build().ok()
            });
            let entries = Some(entries.collect());
            let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(entries);
            match request.send().await {
                Ok(done) if done.failed.is_empty() => {}
                Ok(done) => warn!(queue = self.arn, "messages not deleted: {:?}", done.failed),
                Err(error) => {
                    warn!(queue = self.arn, "messages not deleted: {}", DisplayErrorContext(error));
                }
            }
        }
    }

    pub(super) fn send(
        &self,
        body: &str,
    ) -> aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder {
        self.client.send_message().queue_url(&self.url).message_body(body)
    }
}
