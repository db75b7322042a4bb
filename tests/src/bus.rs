//! A look at what is left on the bus's way: unpublished events, waiting messages, dead letters.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::QueueAttributeName;

use crate::Result;
use crate::stack::Stack;

/// How many messages wait in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The queue's name.
    pub queue: String,
    /// Waiting and in flight.
    pub messages: u64,
}

/// Events written and not yet published.
pub async fn unpublished(stack: &Stack) -> Result<i64> {
    stack.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await
}

/// Every dead-letter queue's depth.
pub async fn dead_letters(stack: &Stack) -> Result<Vec<Depth>> {
    let mut depths = depths(stack).await?;
    depths.retain(|depth| depth.queue.contains("DeadLetters"));
    Ok(depths)
}

/// Every queue's depth.
pub async fn depths(stack: &Stack) -> Result<Vec<Depth>> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(&stack.aws_url)
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .load()
        .await;
    let queues = aws_sdk_sqs::Client::new(&config);
    let mut depths = Vec::new();
    for url in queues.list_queues().send().await?.queue_urls.unwrap_or_default() {
        let wanted = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let answer = queues
            .get_queue_attributes()
            .queue_url(&url)
            .set_attribute_names(Some(wanted.to_vec()))
            .send()
            .await?;
        let counts = answer.attributes.unwrap_or_default();
        let messages = counts.values().filter_map(|count| count.parse::<u64>().ok()).sum();
        depths.push(Depth { queue: url.rsplit('/').next().unwrap_or_default().to_owned(), messages });
    }
    Ok(depths)
}
