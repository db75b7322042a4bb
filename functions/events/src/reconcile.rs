//! Takes dead letters out of their queues: each is kept with an audit row and, where one is defined, the event that tells
//! of what it stopped. A message leaves its queue after that, so a run may be killed anywhere and the next one finds it
//! again; its id keeps it from being kept, or told of, twice.

use std::collections::BTreeMap;
use std::iter::zip;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    CorrelationId, DatabaseError, EventId, Failure, Invocation, Metric, Metrics, Outbox, Timestamp,
};
use tracing::{error, info, warn};

use crate::compensation::compensation;
use crate::dead_letter::DeadLetterId;
use crate::queues::DeadLetterQueues;
use crate::store::dead_letters::{Found, Keeping, keep};

/// Messages a call; SQS gives no more.
const BATCH: i32 = 10;
/// Seconds that an empty queue is asked for: less than one asks only some of its servers.
const WAIT_SECONDS: i32 = 1;
/// Nothing is begun so close to the deadline.
const MARGIN: TimeDelta = TimeDelta::seconds(5);

/// Nothing is asked for: a run always does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileRequest {}

/// What a run did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReconcileReport {
    /// Messages kept now, by consumer.
    pub kept: BTreeMap<String, u64>,
    /// Compensating events told.
    pub compensated: u64,
    /// Whether all queues were empty in the end; if not, the time was up.
    pub finished: bool,
}

/// Empties every dead-letter queue, or does what the time allows. Fails, after all else is done, when a queue or a
/// message could not be dealt with, so that the alarm on it fires.
pub async fn reconcile(
    outbox: &Outbox,
    sqs: &Client,
    queues: &DeadLetterQueues,
    invocation: Invocation,
) -> Result<ReconcileReport, Failure> {
    let mut report = ReconcileReport::default();
    let mut faults = 0;
    // One batch of each queue in turn: a flood in one does not hide what is in the others.
    let mut left: Vec<_> = queues.0.iter().collect();
    while !left.is_empty() {
        for (consumer, pair) in std::mem::take(&mut left) {
            if Utc::now() + MARGIN >= invocation.deadline {
                info!(report = serde_json::to_string(&report).unwrap_or_default(), "the time is up");
                tell(&report);
                return finish(report, faults);
            }
            let desk = Desk { outbox, sqs, consumer, queue: &pair.dead_letters, invocation };
            match desk.take_batch(&mut report).await {
                Ok(Batch { was_empty, faults: more }) => {
                    faults += more;
                    if !was_empty {
                        left.push((consumer, pair));
                    }
                }
                // Without a database there is nothing to do; what was not kept is in its queue.
                Err(Fault::Database(error)) => {
                    tell(&report);
                    return Err(error.into());
                }
                Err(Fault::Queue(cause)) => {
                    error!(consumer, cause, "a dead-letter queue does not answer");
                    faults += 1;
                }
            }
        }
    }
    report.finished = true;
    tell(&report);
    finish(report, faults)
}

fn finish(report: ReconcileReport, faults: usize) -> Result<ReconcileReport, Failure> {
    if faults > 0 {
        return Err(Failure::fault(format!(
            "{faults} queues or messages could not be dealt with; kept: {:?}",
            report.kept
        )));
    }
    Ok(report)
}

fn tell(report: &ReconcileReport) {
    for (consumer, count) in &report.kept {
        let mut metrics = Metrics::by("Consumer", consumer);
        metrics.add(Metric::DeadLetters, *count).emit();
    }
}

enum Fault {
    Database(DatabaseError),
    Queue(String),
}

struct Batch {
    was_empty: bool,
    /// Messages that stay where they are.
    faults: usize,
}

/// One dead-letter queue in one run.
struct Desk<'a> {
    outbox: &'a Outbox,
    sqs: &'a Client,
    consumer: &'a str,
    queue: &'a str,
    invocation: Invocation,
}

impl Desk<'_> {
    async fn take_batch(&self, report: &mut ReconcileReport) -> Result<Batch, Fault> {
        let messages = self.receive().await?;
        let was_empty = messages.is_empty();
        let kept = join_all(messages.iter().map(|message| self.keep(message))).await;

        let (mut done, mut faults, mut unavailable) = (Vec::new(), 0, None);
        for (message, result) in zip(messages, kept) {
            match result {
                Ok(outcome) => {
                    if let Some(Kept { is_compensated }) = outcome {
                        *report.kept.entry(self.consumer.to_owned()).or_default() += 1;
                        report.compensated += u64::from(is_compensated);
                    }
                    done.extend(message.receipt_handle);
                }
                Err(error @ DatabaseError::Unavailable(_)) => unavailable = Some(error),
                Err(error) => {
                    let message_id = message.message_id.unwrap_or_default();
                    error!(consumer = self.consumer, message_id, cause = %error, "not kept: stays in its queue");
                    faults += 1;
                }
            }
        }
        self.delete(done).await;
        match unavailable {
            Some(error) => Err(Fault::Database(error)),
            None => Ok(Batch { was_empty, faults }),
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, Fault> {
        // Nobody else shall see them as long as this run may live; if it dies, the next one shall.
        let run = (self.invocation.deadline - Utc::now()).num_seconds().clamp(0, 43_199) + 1;
        let call = self
            .sqs
            .receive_message()
            .queue_url(self.queue)
            .max_number_of_messages(BATCH)
            .wait_time_seconds(WAIT_SECONDS)
            .visibility_timeout(i32::try_from(run).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = Box::pin(call.send()).await;
        answer
            .map(|answer| answer.messages.unwrap_or_default())
            .map_err(|error| Fault::Queue(DisplayErrorContext(&error).to_string()))
    }

    /// None for a message that was kept before.
    async fn keep(&self, message: &Message) -> Result<Option<Kept>, DatabaseError> {
        let message_id = message.message_id().unwrap_or_default();
        let body = message.body().unwrap_or_default();
        let attribute = |name: MessageSystemAttributeName| {
            message.attributes().and_then(|all| all.get(&name)).and_then(|text| text.parse::<i64>().ok())
        };
        let says = Says::read(body);
        let found = Found {
            id: DeadLetterId::of(self.queue, message_id),
            consumer: self.consumer,
            event_id: says.event_id,
            event_type: says.event_type.as_deref(),
            correlation_id: says.correlation_id,
            // It counts across both queues, and so this delivery, too.
            receive_count: attribute(MessageSystemAttributeName::ApproximateReceiveCount)
                .and_then(|count| u32::try_from(count - 1).ok())
                .unwrap_or_default(),
            sent_at: attribute(MessageSystemAttributeName::SentTimestamp)
                .and_then(DateTime::from_timestamp_millis)
                .unwrap_or(self.invocation.at),
            body,
        };
        let told = says
            .event_type
            .as_deref()
            .and_then(|event_type| compensation(self.consumer, event_type, &says.event));
        let is_compensated = told.is_some();
        let now: Timestamp = self.invocation.at;
        match keep(self.outbox, &found, told, now).await? {
            Some(Keeping::Kept) => {
                let event_type = found.event_type;
                info!(consumer = self.consumer, dead_letter_id = %found.id.uuid(), event_type, "a dead letter was kept");
                Ok(Some(Kept { is_compensated }))
            }
            _ => Ok(None),
        }
    }

    /// What is not deleted comes again, and is known by then.
    async fn delete(&self, handles: Vec<String>) {
        if handles.is_empty() {
            return;
        }
        let entry = |(index, handle): (usize, String)| {
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle).build()
        };
        let Ok(entries) = handles.into_iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>() else {
            return;
        };
        let call = self.sqs.delete_message_batch().queue_url(self.queue).set_entries(Some(entries));
        match Box::pin(call.send()).await {
            Ok(answer) if answer.failed().is_empty() => {}
            Ok(answer) => {
                warn!(
                    consumer = self.consumer,
                    count = answer.failed().len(),
                    "kept messages stay in their queue"
                );
            }
            Err(error) => {
                let cause = DisplayErrorContext(&error).to_string();
                warn!(consumer = self.consumer, cause, "kept messages stay in their queue");
            }
        }
    }
}

struct Kept {
    is_compensated: bool,
}

/// What a message says of itself, each only if it is what it should be: a dead letter may be anything.
#[derive(Debug, Default, PartialEq)]
struct Says {
    event_id: Option<EventId>,
    event_type: Option<String>,
    correlation_id: Option<CorrelationId>,
    event: Value,
}

impl Says {
    fn read(body: &str) -> Self {
        let Ok(mut message) = serde_json::from_str::<Value>(body) else { return Self::default() };
        // As EventBridge delivers it; or an event as it is.
        let event = message.get_mut("detail").map(Value::take).unwrap_or(message);
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let is_name = |name: &&str| {
            (1..=64).contains(&name.len())
                && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
        };
        Self {
            event_id: text("eventId").and_then(|id| id.parse().ok()),
            event_type: text("eventType").filter(is_name).map(ToOwned::to_owned),
            correlation_id: text("correlationId").and_then(|id| id.parse().ok()),
            event,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    const ID: &str = "0b1732fa-631a-4952-b6d6-2d586ed9dbf8";

    #[test]
    fn a_message_says_what_it_is_bare_or_as_the_bus_delivers_it() {
        let event = json!({ "eventId": ID, "eventType": "SESSION_ENDED", "correlationId": ID });
        for body in [event.clone(), json!({ "detail-type": "SESSION_ENDED", "detail": event })] {
            let says = Says::read(&body.to_string());
            assert_eq!(says.event_type.as_deref(), Some("SESSION_ENDED"));
            assert_eq!(says.event_id, Some(ID.parse().unwrap()));
            assert_eq!(says.correlation_id, Some(ID.parse().unwrap()));
            assert_eq!(says.event, event);
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_not_believed() {
        assert_eq!(Says::read("no JSON at all"), Says::default());
        for body in [
            json!(null),
            json!([1]),
            json!("text"),
            json!({ "detail": 7 }),
            json!({ "eventId": "42", "eventType": "A\u{0}B", "correlationId": [] }),
            json!({ "eventType": "X".repeat(65) }),
        ] {
            let says = Says::read(&body.to_string());
            assert_eq!((says.event_id, says.event_type, says.correlation_id), (None, None, None), "{body}");
        }
    }
}
