//! Each five minutes, or by hand. Empties the dead-letter queues into `dead_letters` and the audit log; tells
//! `SESSION_BILLING_FAILED`.
use events::{DeadLetterQueues, reconcile};
use shared::Outbox;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (outbox, queues) = (Outbox::from_env(&config)?, DeadLetterQueues::from_env()?);
    let sqs = aws_sdk_sqs::Client::new(&config);
    shared::task(async |invocation, _: events::ReconcileRequest| {
        reconcile(&outbox, &sqs, &queues, invocation).await
    })
    .await
}
