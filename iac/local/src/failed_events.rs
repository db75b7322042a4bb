//! Where an asynchronous event goes that its function failed every time: the queue or topic that the template
//! names, as Lambda sends it.

use std::sync::Arc;

use aws_config::SdkConfig;
use lambda_host::{Destination, FailedEvent, FailureSink};

/// Sends each event given up on to its destination, and says so.
pub(crate) fn sink(sdk: &SdkConfig) -> FailureSink {
    let queues = aws_sdk_sqs::Client::new(sdk);
    let topics = aws_sdk_sns::Client::new(sdk);
    Arc::new(move |event: FailedEvent| {
        let (queues, topics) = (queues.clone(), topics.clone());
        tokio::spawn(async move {
            let function = event.function_arn.as_str();
            let (arn, body) = match &event.destination {
                None => return tracing::error!(function, "an event was given up on: {}", event.reason()),
                Some(Destination::OnFailure(arn)) => (arn, event.record().to_string()),
                Some(Destination::DeadLetter(arn)) => {
                    (arn, String::from_utf8_lossy(&event.payload).into_owned())
                }
            };
            match send(&queues, &topics, arn, body).await {
                Ok(()) => tracing::warn!(function, "an event was given up on, and sent to {arn}"),
                Err(problem) => tracing::error!(function, "an event was lost on its way to {arn}: {problem}"),
            }
        });
    })
}

async fn send(
    queues: &aws_sdk_sqs::Client,
    topics: &aws_sdk_sns::Client,
    arn: &str,
    body: String,
) -> Result<(), String> {
    let words = |error: &dyn std::error::Error| aws_sdk_sqs::error::DisplayErrorContext(error).to_string();
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        [_, _, "sqs", _, _, name] => {
            let found =
                queues.get_queue_url().queue_name(*name).send().await.map_err(|error| words(&error))?;
            let call = queues.send_message().set_queue_url(found.queue_url).message_body(body);
            call.send().await.map(drop).map_err(|error| words(&error))
        }
        [_, _, "sns", ..] => topics
            .publish()
            .topic_arn(arn)
            .message(body)
            .send()
            .await
            .map(drop)
            .map_err(|error| words(&error)),
        _ => Err("only queues and topics take failed events on this machine".to_owned()),
    }
}
