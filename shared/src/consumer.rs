//! Runs a handler as the consumer of an SQS queue that an EventBridge rule feeds. Each message fails alone
//! (`ReportBatchItemFailures`); the queue's redrive policy counts its tries and dead-letters it.

use std::rc::Rc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::Value;
use tracing::{Instrument, error, info_span, warn};

use crate::{Envelope, Events, Failure, read_fields, start_tracing};

/// The event as EventBridge delivers it: ours is the `detail`.
#[derive(Deserialize)]
struct Delivery {
    detail: Value,
}

/// Runs `handler` for each message of each batch. The handler must be idempotent: delivery is at least once.
pub async fn consumer<P, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    P: Events,
    H: AsyncFn(Envelope<P>) -> Result<(), Failure>,
{
    start_tracing();
    let handler = Rc::new(handler);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        let handler = Rc::clone(&handler);
        async move { Ok::<_, lambda_runtime::Error>(batch(&*handler, event.payload).await) }
    }))
    .await
}

async fn batch<P: Events, H>(handler: &H, event: SqsEvent) -> SqsBatchResponse
where
    H: AsyncFn(Envelope<P>) -> Result<(), Failure>,
{
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let message_id = message.message_id.clone().unwrap_or_default();
        let result = match parse::<P>(&message) {
            Ok(envelope) => {
                let span = info_span!(
                    "consumer",
                    event_type = envelope.event_type,
                    event_id = %envelope.event_id,
                    correlation_id = %envelope.correlation_id,
                );
                handler(envelope).instrument(span).await
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = result {
            if failure.retryable() {
                warn!(message_id, cause = failure.causes(), "will be tried again");
            } else {
                error!(message_id, cause = failure.causes(), "hopeless: for the dead letters");
            }
            let mut item = BatchItemFailure::default();
            item.item_identifier = message_id;
            response.batch_item_failures.push(item);
        }
    }
    response
}

fn parse<P: Events>(message: &SqsMessage) -> Result<Envelope<P>, Failure> {
    let body = message.body.as_deref().unwrap_or_default();
    let delivery: Delivery =
        serde_json::from_str(body).map_err(|error| Failure::invalid("body", error.to_string()))?;
    let envelope: Envelope<Value> = read_fields(delivery.detail)?;
    envelope.map(|event_type, fields| {
        let unexpected =
            || Err(Failure::invalid("eventType", format!("{event_type} is not for this consumer")));
        P::read(event_type, fields).unwrap_or_else(unexpected)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::*;
    use crate::Event;

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
        let response = batch(&handler, event).await;
        let failed: Vec<_> =
            response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect();
        assert_eq!(failed, ["bad field", "bad type", "refused"]);
        assert_eq!(*seen.borrow(), [7, 0]);
    }
}
