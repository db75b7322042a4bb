//! Runs a handler as the consumer of an SQS queue that an EventBridge rule feeds. Each message fails alone
//! (`ReportBatchItemFailures`); the queue's redrive policy counts its tries and dead-letters it.

use std::rc::Rc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::Value;
use tracing::{Instrument, error, info_span, warn};

use crate::{Envelope, Event, Failure, start_tracing};

/// The event as EventBridge delivers it: ours is the `detail`.
#[derive(Deserialize)]
struct Delivery {
    detail: Value,
}

/// Runs `handler` for each message of each batch. The handler must be idempotent: delivery is at least once.
pub async fn consumer<P, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    P: Event,
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

async fn batch<P: Event, H>(handler: &H, event: SqsEvent) -> SqsBatchResponse
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
                    event_type = P::TYPE,
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

fn parse<P: Event>(message: &SqsMessage) -> Result<Envelope<P>, Failure> {
    let body = message.body.as_deref().unwrap_or_default();
    let delivery: Delivery =
        serde_json::from_str(body).map_err(|error| Failure::invalid("body", error.to_string()))?;
    let envelope: Envelope<P> = serde_path_to_error::deserialize(delivery.detail)
        .map_err(|error| Failure::invalid(error.path().to_string(), error.inner().to_string()))?;
    if envelope.event_type != P::TYPE {
        return Err(Failure::invalid("eventType", format!("is not {}", P::TYPE)));
    }
    Ok(envelope)
}
