//! `Mutation.refreshToken`. Reads users, writes refresh tokens.
use shared::Database;
use user::{TokenIssuer, refresh};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (database, issuer) = (Database::from_env(&config)?, TokenIssuer::from_env(&config)?);
    shared::resolver(async |caller, arguments| refresh(&database, &issuer, &caller, arguments).await).await
}
