//! `Mutation.replayDeadLetters`. Reads and writes `dead_letters` and the audit log, sends to the consumers' queues.
use events::{DeadLetterQueues, replay};
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (database, queues) = (Database::from_env(&config)?, DeadLetterQueues::from_env()?);
    let sqs = aws_sdk_sqs::Client::new(&config);
    shared::resolver(async |caller, arguments| replay(&database, &sqs, &queues, &caller, arguments).await)
        .await
}
