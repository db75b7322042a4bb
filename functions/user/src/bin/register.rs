//! `Mutation.register`. Writes users, vehicles and refresh tokens; tells `USER_REGISTERED`; counts accounts in Redis.
use shared::{Cache, Outbox};
use user::{RegistrationLimit, TokenIssuer, register};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (outbox, issuer) = (Outbox::from_env(&config)?, TokenIssuer::from_env(&config)?);
    let (cache, limit) = (Cache::from_env()?, RegistrationLimit::from_env());
    shared::resolver(async |caller, arguments| {
        register(&outbox, &cache, limit, &issuer, &caller, arguments).await
    })
    .await
}
