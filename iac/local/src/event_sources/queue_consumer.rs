//! A function's `SQS` event source: long polls, batches, and the deletion of what succeeded. What failed is
//! left alone: the queue's visibility timeout brings it back and its redrive policy ends it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use bytes::Bytes;
use lambda_host::{Event, FunctionProperties, Invoke, scalar};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::queue::{MOST_AT_ONCE, Queue};
use super::sqs_event::{self, Verdict};
use super::{EventSourceError, Place, Wiring};

/// Lambda starts with five pollers.
const DEFAULT_CONCURRENCY: usize = 5;
/// Between polls of a queue that cannot be read.
const PAUSE: Duration = Duration::from_secs(1);
const WHOLE_POLL: u64 = 20;
/// A batch's bodies stay under the invocation limit with room for the records around them.
const MOST_BYTES: usize = 5 * 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Properties {
    queue: String,
    #[serde(default = "default_batch", deserialize_with = "scalar::required")]
    batch_size: usize,
    #[serde(default, deserialize_with = "scalar::required")]
    maximum_batching_window_in_seconds: u64,
    #[serde(default)]
    function_response_types: Vec<ResponseType>,
    #[serde(default = "enabled", deserialize_with = "scalar::required")]
    enabled: bool,
    #[serde(default)]
    scaling_config: Option<ScalingConfig>,
}

#[derive(Debug, Deserialize)]
enum ResponseType {
    ReportBatchItemFailures,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ScalingConfig {
    #[serde(deserialize_with = "scalar::required")]
    maximum_concurrency: usize,
}

fn default_batch() -> usize {
    10
}

fn enabled() -> bool {
    true
}

pub(super) struct QueueConsumer {
    queue: Queue,
    function: String,
    invoke: Arc<dyn Invoke>,
    batch_size: usize,
    window: Duration,
    reports_failures: bool,
    concurrency: usize,
}

impl QueueConsumer {
    /// None if the source is disabled.
    pub(super) async fn open(
        place: &Place<'_>,
        event: &Event,
        function: &FunctionProperties,
        wiring: &Wiring,
    ) -> Result<Option<Self>, EventSourceError> {
        let properties: Properties = place.read(event)?;
        if !properties.enabled {
            return Ok(None);
        }
        if properties.batch_size == 0 || properties.batch_size > 10_000 {
            return Err(place.error("BatchSize is 1 to 10000").into());
        }
        if properties.batch_size > MOST_AT_ONCE && properties.maximum_batching_window_in_seconds == 0 {
            return Err(place.error("a BatchSize over 10 needs MaximumBatchingWindowInSeconds").into());
        }
        let scaling = properties.scaling_config.map(|scaling| scaling.maximum_concurrency);
        if scaling.is_some_and(|most| !(2..=1000).contains(&most)) {
            return Err(place.error("ScalingConfig.MaximumConcurrency is 2 to 1000").into());
        }
        let reserved = function.reserved_concurrent_executions.unwrap_or(DEFAULT_CONCURRENCY);
        Ok(Some(Self {
            queue: Queue::open(&wiring.sqs, &properties.queue).await?,
            function: place.resource.physical_id.clone(),
            invoke: Arc::clone(&wiring.invoke),
            batch_size: properties.batch_size,
            window: Duration::from_secs(properties.maximum_batching_window_in_seconds),
            reports_failures: !properties.function_response_types.is_empty(),
            // More readers than processes would only fetch messages to be throttled.
            concurrency: scaling.unwrap_or(DEFAULT_CONCURRENCY.min(reserved)).max(1),
        }))
    }

    /// Reads for ever. Batches in hand run on `tasks`, so that stopping the reading does not cut them off.
    pub(super) async fn run(self, tasks: TaskTracker) {
        let consumer = Arc::new(self);
        let slots = Arc::new(Semaphore::new(consumer.concurrency));
        // Acquiring fails only on a closed semaphore, and nobody closes this one.
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            match consumer.gather().await {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    let consumer = Arc::clone(&consumer);
                    tasks.spawn(async move {
                        consumer.handle(&messages).await;
                        drop(slot);
                    });
                }
                Err(problem) => {
                    warn!(queue = consumer.queue.arn, "cannot be read: {problem}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// A batch: what is there at once, or what comes within the window after the first message.
    async fn gather(&self) -> Result<Vec<Message>, String> {
        let mut messages = self.queue.receive(self.batch_size, WHOLE_POLL).await?;
        let closes = Instant::now() + self.window;
        while !messages.is_empty() && messages.len() < self.batch_size && bytes_in(&messages) < MOST_BYTES {
            let left = closes.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let wait = left.as_secs();
            if wait == 0 {
                tokio::time::sleep(left.min(Duration::from_millis(100))).await;
            }
            messages.extend(self.queue.receive(self.batch_size - messages.len(), wait).await?);
        }
        Ok(messages)
    }

    async fn handle(&self, messages: &[Message]) {
        let event = sqs_event::event(messages, &self.queue.arn);
        let outcome = match self.invoke.invoke(&self.function, Bytes::from(event.to_string())).await {
            Ok(outcome) => outcome,
            Err(error) => {
                warn!(function = self.function, queue = self.queue.arn, "batch not taken: {error}");
                return;
            }
        };
        if outcome.function_error.is_some() {
            let error = String::from_utf8_lossy(&outcome.payload);
            warn!(function = self.function, queue = self.queue.arn, "batch failed: {error}");
            return;
        }
        let verdict = if self.reports_failures {
            sqs_event::verdict(&outcome.payload, messages)
        } else {
            Verdict::AllBut(Default::default())
        };
        match verdict {
            Verdict::AllBut(failed) => {
                if !failed.is_empty() {
                    warn!(function = self.function, queue = self.queue.arn, ?failed, "messages failed");
                }
                let dealt_with =
                    |message: &&Message| !message.message_id().is_some_and(|id| failed.contains(id));
                self.queue.delete(&messages.iter().filter(dealt_with).collect::<Vec<_>>()).await;
            }
            Verdict::None => {
                let answer = String::from_utf8_lossy(&outcome.payload);
                warn!(function = self.function, "not a batch response, so the batch failed: {answer}");
            }
        }
    }
}

fn bytes_in(messages: &[Message]) -> usize {
    messages.iter().filter_map(Message::body).map(str::len).sum()
}
