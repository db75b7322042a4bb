//! `Mutation.logout`. Writes refresh tokens.
use shared::Database;
use user::logout;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| logout(&database, &caller, arguments).await).await
}
