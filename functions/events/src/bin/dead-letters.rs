//! `Query.deadLetters`. Reads `dead_letters`.
use events::dead_letters;
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| dead_letters(&database, &caller, arguments).await).await
}
