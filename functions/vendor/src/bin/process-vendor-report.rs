//! Consumes what the vendors' webhooks queue. Writes connectors and sessions, once a report.
use shared::Outbox;
use vendor::{Report, process};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let outbox = Outbox::from_env(&shared::aws_config().await)?;
    shared::consumer(async |report: Report| process(&outbox, &report, chrono::Utc::now()).await.map(drop))
        .await
}
