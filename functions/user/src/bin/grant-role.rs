//! Invoked by an administrator with `{"email", "role", "reason"}`. Writes users and the audit log.
use shared::Database;
use user::grant_role;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::task(async |invocation, request| grant_role(&database, request, invocation.at).await).await
}
