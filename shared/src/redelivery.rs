//! When a message that failed comes back: soon after the first try, later after each further one. SQS itself knows one
//! delay for all, the queue's visibility timeout, which is what counts when a consumer dies without a word.

use std::hash::{DefaultHasher, Hash, Hasher};

use aws_lambda_events::sqs::SqsMessage;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry as Entry;
use tokio::sync::OnceCell;
use tracing::warn;

use crate::{Failure, MissingSetting, setting};

/// Seconds after the first, second, … try; the last for every further one.
const DELAYS: [u32; 4] = [5, 30, 120, 600];
/// `ChangeMessageVisibilityBatch` takes no more entries in one call.
const BATCH: usize = 10;

/// One message's next appearance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delay {
    receipt_handle: String,
    pub(crate) seconds: u32,
}

impl Delay {
    /// Of a message that failed so. What is hopeless comes back at once: its further receives cost a parse each, and
    /// then the queue's redrive policy has it where somebody looks at it, minutes earlier.
    pub(crate) fn after(failure: &Failure, message: &SqsMessage) -> Option<Self> {
        let receipt_handle = message.receipt_handle.clone()?;
        let seconds = if failure.retryable() { seconds(receives(message), spread(message)) } else { 0 };
        Some(Self { receipt_handle, seconds })
    }
}

/// The delay after that many receives, up to a quarter longer by `spread`, so that messages which failed together,
/// as they do when a database is gone, do not all come back together.
fn seconds(receives: usize, spread: u8) -> u32 {
    let last = DELAYS.len() - 1;
    let base = DELAYS[receives.saturating_sub(1).min(last)];
    base + base * u32::from(spread) / (4 * u32::from(u8::MAX))
}

fn receives(message: &SqsMessage) -> usize {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// Message ids are random: all the chance that is needed.
fn spread(message: &SqsMessage) -> u8 {
    let mut hasher = DefaultHasher::new();
    message.message_id.hash(&mut hasher);
    hasher.finish().to_le_bytes()[0]
}

/// The consumer's queue. Its client is made by the first failure: most processes never need one.
pub(crate) struct Redelivery {
    queue_url: String,
    client: OnceCell<Client>,
}

impl Redelivery {
    /// From `QUEUE_URL`.
    pub(crate) fn from_env() -> Result<Self, MissingSetting> {
        Ok(Self { queue_url: setting("QUEUE_URL")?, client: OnceCell::new() })
    }

    /// Tells SQS. If that fails the messages come back all the same, by the queue's own timeout.
    pub(crate) async fn set(&self, delays: &[Delay]) {
        for batch in delays.chunks(BATCH) {
            let connect = async || Client::new(&crate::aws_config().await);
            let client = self.client.get_or_init(connect).await;
            let entries = batch.iter().enumerate().filter_map(|(index, delay)| {
                let seconds = i32::try_from(delay.seconds).unwrap_or(i32::MAX);
                let entry = Entry::builder().id(index.to_string()).receipt_handle(&delay.receipt_handle);
                entry.visibility_timeout(seconds).build().ok()
            });
            let call = client.change_message_visibility_batch().queue_url(&self.queue_url);
            match Box::pin(call.set_entries(Some(entries.collect())).send()).await {
                Ok(answer) if answer.failed.is_empty() => {}
                Ok(answer) => {
                    let cause = answer.failed[0].message().unwrap_or_default();
                    warn!(failed = answer.failed.len(), cause, "left to the queue's own delay");
                }
                Err(error) => {
                    warn!(cause = %DisplayErrorContext(error), "left to the queue's own delay");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, receives: Option<&str>) -> SqsMessage {
        let mut message = SqsMessage::default();
        message.message_id = Some(id.into());
        message.receipt_handle = Some(format!("receipt of {id}"));
        message.attributes.extend(receives.map(|count| ("ApproximateReceiveCount".into(), count.into())));
        message
    }

    #[test]
    fn each_try_waits_longer_than_the_one_before_and_none_longer_than_ten_minutes_and_a_quarter() {
        let shortest: Vec<_> = (0..=6).map(|receives| seconds(receives, 0)).collect();
        assert_eq!(shortest, [5, 5, 30, 120, 600, 600, 600]);
        let longest: Vec<_> = (0..=6).map(|receives| seconds(receives, u8::MAX)).collect();
        assert_eq!(longest, [6, 6, 37, 150, 750, 750, 750]);
        assert_eq!(seconds(usize::MAX, 0), 600);
    }

    #[test]
    fn a_retryable_failure_waits_by_its_receives_and_a_hopeless_one_not_at_all() {
        let outage = Failure::Unavailable("the database");
        let delay =
            |failure, receives| Delay::after(failure, &message("a", receives)).map(|delay| delay.seconds);
        assert!(delay(&outage, Some("1")).is_some_and(|seconds| (5..=6).contains(&seconds)));
        assert!(delay(&outage, Some("3")).is_some_and(|seconds| (120..=150).contains(&seconds)));
        assert_eq!(delay(&outage, None), delay(&outage, Some("1")));
        assert_eq!(delay(&Failure::invalid("body", "is no JSON"), Some("3")), Some(0));
    }

    #[test]
    fn messages_that_failed_together_come_back_apart() {
        let outage = Failure::Unavailable("the database");
        let of = |number: u32| Delay::after(&outage, &message(&number.to_string(), Some("4")));
        let mut delays: Vec<_> = (0..100).filter_map(of).map(|delay| delay.seconds).collect();
        delays.sort_unstable();
        delays.dedup();
        assert!(delays.len() > 50, "{delays:?}");
    }
}
