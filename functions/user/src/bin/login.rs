//! `Mutation.login`. Reads users, writes refresh tokens; counts attempts in Redis.
use shared::{Cache, Database};
use user::{TokenIssuer, login};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (database, cache) = (Database::from_env(&config)?, Cache::from_env()?);
    let issuer = TokenIssuer::from_env(&config)?;
    shared::resolver(async |caller, arguments| login(&database, &cache, &issuer, &caller, arguments).await)
        .await
}
