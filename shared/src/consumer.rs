//! Runs a handler as the consumer of an SQS queue, most often one that EventBridge feeds. Each message fails alone
//! (`ReportBatchItemFailures`), whether it is refused, panics or hangs, and comes back later each time; the queue's
//! redrive policy counts its tries and dead-letters it.

use std::rc::Rc;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use chrono::{DateTime, Utc};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, error, info, info_span, warn};

use crate::metrics::{Metric, Metrics, milliseconds};
use crate::panic::caught;
use crate::redelivery::{Delay, Redelivery};
use crate::{Envelope, Events, Failure, Invocation, Timestamp, read_fields, start_tracing, within};

/// Kept of an invocation's time for telling SQS, and Lambda, what failed.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Every message has at least that long, even if those before it took all there was.
const SHORTEST: Duration = Duration::from_secs(1);

/// What a queue carries: an event off the bus, or a message of another kind that one function sends to another.
pub trait Message: Sized {
    /// Where in the body its fields are (a JSON pointer). Those called `eventId`, `eventType` and `correlationId` are
    /// in every line about it, and `timestamp`, if there is one, is where its end-to-end latency begins.
    const FIELDS: &'static str;

    /// Reads them. The failure is hopeless: another try would read the same.
    fn read(fields: Value) -> Result<Self, Failure>;
}

/// As EventBridge delivers it: ours is the `detail`.
impl<P: Events> Message for Envelope<P> {
    const FIELDS: &'static str = "/detail";

    fn read(fields: Value) -> Result<Self, Failure> {
        let envelope: Envelope<Value> = read_fields(fields)?;
        envelope.map(|event_type, fields| {
            let unexpected =
                || Err(Failure::invalid("eventType", format!("{event_type} is not for this consumer")));
            P::read(event_type, fields).unwrap_or_else(unexpected)
        })
    }
}

/// How a batch went.
struct Handled {
    response: SqsBatchResponse,
    delays: Vec<Delay>,
    metrics: Metrics,
}

/// Runs `handler` for each message of each batch from the queue at `QUEUE_URL`. The handler must be idempotent:
/// delivery is at least once, and what a message has not done by its share of the invocation's time is left undone.
pub async fn consumer<M, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    M: Message,
    H: AsyncFn(M) -> Result<(), Failure>,
{
    start_tracing();
    let wiring = Rc::new((handler, Redelivery::from_env()?));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        let wiring = Rc::clone(&wiring);
        async move {
            let (handler, redelivery) = &*wiring;
            let time = Invocation::now(&event.context).time();
            let Handled { response, delays, metrics } = batch(handler, event.payload, time).await;
            redelivery.set(&delays).await;
            metrics.emit();
            Ok::<_, lambda_runtime::Error>(response)
        }
    }))
    .await
}

/// Each message has its share of what is left of `time`.
async fn batch<M: Message, H>(handler: &H, event: SqsEvent, time: Duration) -> Handled
where
    H: AsyncFn(M) -> Result<(), Failure>,
{
    let mut handled = Handled {
        response: SqsBatchResponse::default(),
        delays: Vec::new(),
        metrics: Metrics::of_function(),
    };
    let end = Instant::now() + time.saturating_sub(LAST_WORDS);
    let mut left = u32::try_from(event.records.len()).unwrap_or(u32::MAX);
    for message in event.records {
        let share = (end.saturating_duration_since(Instant::now()) / left).max(SHORTEST);
        left -= 1;
        let span = info_span!(
            "consumer",
            message_id = message.message_id.as_deref(),
            event_type = tracing::field::Empty,
            event_id = tracing::field::Empty,
            correlation_id = tracing::field::Empty,
        );
        let handling = within(share, caught(handle(handler, &message, &mut handled.metrics)));
        let handling = timeout(share, handling);
        let handling = async {
            handling.await.unwrap_or_else(|_| Err(Failure::fault(format!("not done in {share:.1?}"))))
        };
        if let Err(failure) = handling.instrument(span.clone()).await {
            let _entered = span.enter();
            if failure.retryable() {
                warn!(cause = failure.causes(), "will be tried again");
            } else {
                error!(cause = failure.causes(), "hopeless: for the dead letters");
            }
            handled.delays.extend(Delay::after(&failure, &message));
            let mut item = BatchItemFailure::default();
            item.item_identifier = message.message_id.unwrap_or_default();
            handled.response.batch_item_failures.push(item);
        }
    }
    let failures = u64::try_from(handled.response.batch_item_failures.len()).unwrap_or(u64::MAX);
    handled.metrics.add(Metric::ConsumerFailures, failures);
    handled
}

async fn handle<M: Message, H>(
    handler: &H,
    message: &SqsMessage,
    metrics: &mut Metrics,
) -> Result<(), Failure>
where
    H: AsyncFn(M) -> Result<(), Failure>,
{
    if let Some(sent) = sent(message) {
        metrics.add(Metric::ConsumerLag, milliseconds(sent, Utc::now()));
    }
    let body = message.body.as_deref().unwrap_or_default();
    let mut body: Value =
        serde_json::from_str(body).map_err(|error| Failure::invalid("body", error.to_string()))?;
    let fields = body.pointer_mut(M::FIELDS).map(Value::take).unwrap_or_default();
    // Before they are understood: the line about a message that cannot be must say whose it is, too.
    let span = Span::current();
    for (field, name) in
        [("event_type", "eventType"), ("event_id", "eventId"), ("correlation_id", "correlationId")]
    {
        span.record(field, fields.get(name).and_then(Value::as_str));
    }
    let happened = fields.get("timestamp").and_then(Value::as_str).and_then(|text| text.parse().ok());
    handler(M::read(fields)?).await?;
    if let Some(happened) = happened {
        metrics.add(Metric::EndToEndLatency, milliseconds(happened, Utc::now()));
    }
    info!("consumed");
    Ok(())
}

/// When the message was put into its queue.
fn sent(message: &SqsMessage) -> Option<Timestamp> {
    let sent = message.attributes.get("SentTimestamp")?;
    sent.parse().ok().and_then(DateTime::from_timestamp_millis)
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::Event;

    const AMPLE: Duration = Duration::from_secs(60);

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Ended {
        energy_kwh: u32,
    }

    impl Event for Ended {
        const TYPE: &'static str = "SESSION_ENDED";
    }

    fn message(id: &str, event_type: &str, fields: &Value) -> SqsMessage {
        let mut detail = json!({
            "eventId": "018f0000-0000-7000-8000-000000000001",
            "eventType": event_type,
            "version": 1,
            "timestamp": "2026-02-21T14:31:00Z",
            "source": "session-service",
            "correlationId": "018f0000-0000-7000-8000-000000000002",
        });
        detail.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut message = SqsMessage::default();
        message.message_id = Some(id.into());
        message.receipt_handle = Some(format!("receipt of {id}"));
        message.attributes.insert("SentTimestamp".into(), "1771684260000".into());
        message.body = Some(json!({ "detail-type": event_type, "detail": detail }).to_string());
        message
    }

    #[tokio::test]
    async fn each_message_fails_alone() {
        let seen = RefCell::new(Vec::new());
        let mut event = SqsEvent::default();
        event.records = vec![
            message("good", "SESSION_ENDED", &json!({ "energyKwh": 7 })),
            message("bad field", "SESSION_ENDED", &json!({ "energyKwh": "much" })),
            message("bad type", "SESSION_STARTED", &json!({ "energyKwh": 7 })),
            message("refused", "SESSION_ENDED", &json!({ "energyKwh": 0 })),
        ];
        let handler = async |event: Envelope<Ended>| {
            seen.borrow_mut().push(event.payload.energy_kwh);
            if event.payload.energy_kwh == 0 { Err(Failure::Unavailable("the database")) } else { Ok(()) }
        };
        let Handled { response, delays, metrics } = batch(&handler, event, AMPLE).await;
        let failed: Vec<_> =
            response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect();
        assert_eq!(failed, ["bad field", "bad type", "refused"]);
        assert_eq!(*seen.borrow(), [7, 0]);

        let waits: Vec<_> = delays.iter().map(|delay| delay.seconds).collect();
        assert_eq!(waits[..2], [0, 0], "the hopeless go to the dead letters at once");
        assert!(waits[2] >= 5, "the other waits for the database");

        assert_eq!(metrics.count(Metric::ConsumerLag), 4, "every message was waited for");
        assert_eq!(metrics.count(Metric::EndToEndLatency), 1, "one event has come to its end");
        assert_eq!(metrics.count(Metric::ConsumerFailures), 1, "one figure a batch");
    }

    fn failed(handled: &Handled) -> Vec<&str> {
        let failures = &handled.response.batch_item_failures;
        failures.iter().map(|item| item.item_identifier.as_str()).collect()
    }

    fn batch_of(energies: &[u32]) -> SqsEvent {
        let mut event = SqsEvent::default();
        let one = |kwh: &u32| message(&kwh.to_string(), "SESSION_ENDED", &json!({ "energyKwh": kwh }));
        event.records = energies.iter().map(one).collect();
        event
    }

    #[tokio::test]
    async fn a_message_that_panics_is_tried_again_and_takes_no_other_with_it() {
        let seen = RefCell::new(Vec::new());
        let handler = async |event: Envelope<Ended>| {
            assert_ne!(event.payload.energy_kwh, 2, "never two");
            seen.borrow_mut().push(event.payload.energy_kwh);
            Ok(())
        };
        let batch = batch(&handler, batch_of(&[1, 2, 3]), AMPLE);
        let (handled, lines) = crate::telemetry::lines_of(batch).await;
        assert_eq!(failed(&handled), ["2"]);
        assert_eq!(*seen.borrow(), [1, 3]);
        assert!(handled.delays[0].seconds >= 5, "not hopeless");
        assert!(lines[1]["cause"].as_str().is_some_and(|cause| cause.contains("never two")), "{lines:?}");
        assert_eq!(lines[1]["span"]["message_id"], "2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_hangs_takes_its_share_of_the_time_and_no_other_with_it() {
        let begun = Instant::now();
        let seen = RefCell::new(Vec::new());
        let handler = async |event: Envelope<Ended>| {
            match event.payload.energy_kwh {
                0 => std::future::pending().await,
                seconds => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
            }
            seen.borrow_mut().push(event.payload.energy_kwh);
            Ok(())
        };
        // 30 s of which 29 are for four: 7.25 s for the hanging one, and what quick ones leave is for those after.
        let handled = batch(&handler, batch_of(&[0, 1, 5, 15]), Duration::from_secs(30)).await;
        assert_eq!(failed(&handled), ["0"]);
        assert_eq!(*seen.borrow(), [1, 5, 15]);
        assert!(begun.elapsed() < Duration::from_secs(29), "{:?}", begun.elapsed());
        assert!(handled.delays[0].seconds >= 5, "not hopeless");

        // No time at all is still a second each.
        let begun = Instant::now();
        let handled = batch(&handler, batch_of(&[0, 0]), Duration::ZERO).await;
        assert_eq!(failed(&handled), ["0", "0"]);
        assert_eq!(begun.elapsed().as_secs(), 2);
    }

    #[tokio::test]
    async fn every_line_about_an_event_names_the_request_it_stems_from() {
        let mut event = SqsEvent::default();
        event.records = vec![
            message("good", "SESSION_ENDED", &json!({ "energyKwh": 7 })),
            message("bad field", "SESSION_ENDED", &json!({ "energyKwh": "much" })),
        ];
        let handler = async |_: Envelope<Ended>| Ok(());
        let (_, lines) = crate::telemetry::lines_of(batch(&handler, event, AMPLE)).await;
        let told: Vec<_> =
            lines.iter().map(|line| (&line["message"], &line["span"]["correlation_id"])).collect();
        let request = json!("018f0000-0000-7000-8000-000000000002");
        assert_eq!(
            told,
            [(&json!("consumed"), &request), (&json!("hopeless: for the dead letters"), &request)]
        );
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Hint {
        about: String,
    }

    impl Message for Hint {
        const FIELDS: &'static str = "";

        fn read(fields: Value) -> Result<Self, Failure> {
            read_fields(fields)
        }
    }

    #[tokio::test]
    async fn a_message_need_not_be_off_the_bus() {
        let mut hint = message("hint", "", &json!({}));
        hint.body = Some(json!({ "about": "pi_1", "correlationId": "c" }).to_string());
        let mut event = SqsEvent::default();
        event.records = vec![hint];
        let seen = RefCell::new(Vec::new());
        let handler = async |hint: Hint| {
            seen.borrow_mut().push(hint.about);
            Ok(())
        };
        let (handled, lines) = crate::telemetry::lines_of(batch(&handler, event, AMPLE)).await;
        assert!(handled.response.batch_item_failures.is_empty());
        assert_eq!(*seen.borrow(), ["pi_1"]);
        assert_eq!(lines[0]["span"]["correlation_id"], "c");
        assert_eq!(handled.metrics.count(Metric::EndToEndLatency), 0);
    }
}
