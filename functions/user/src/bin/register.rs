//! `Mutation.register`. Writes users, vehicles and refresh tokens; tells `USER_REGISTERED`.
use shared::Outbox;
use user::{TokenIssuer, register};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (outbox, issuer) = (Outbox::from_env(&config)?, TokenIssuer::from_env(&config)?);
    shared::resolver(async |caller, arguments| register(&outbox, &issuer, &caller, arguments).await).await
}
