//! `Query.notificationSettings`. Reads `notification_settings`.
use events::notification_settings;
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| notification_settings(&database, &caller, arguments).await)
        .await
}
