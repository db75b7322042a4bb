//! `Mutation.changePassword`. Writes users, refresh tokens and the audit log; counts attempts in Redis.
use shared::{Cache, Database};
use user::{TokenIssuer, change_password};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (database, cache) = (Database::from_env(&config)?, Cache::from_env()?);
    let issuer = TokenIssuer::from_env(&config)?;
    shared::resolver(async |caller, arguments| {
        change_password(&database, &cache, &issuer, &caller, arguments).await
    })
    .await
}
