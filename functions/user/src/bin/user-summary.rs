//! `Query.user`. Reads users and what is open of theirs, writes the audit log.
use shared::Database;
use user::user_summary;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| user_summary(&database, &caller, arguments).await).await
}
