//! Consumes what drivers are told of: `PAYMENT_*`, `INVOICE_*`, `SESSION_ENDED`, `SUBSCRIPTION_*`, `BOOKING_*` (but
//! `BOOKING_DUE`), `USER_DELETED`. Writes `notifications`; publishes on the notifications' topic.
use events::{Notifier, notify};
use shared::{Database, setting};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let sns = aws_sdk_sns::Client::new(&config);
    let notifier = Notifier::new(Database::from_env(&config)?, sns, setting("NOTIFICATIONS_TOPIC_ARN")?);
    shared::consumer(async |event| notify(&notifier, event, chrono::Utc::now()).await).await
}
