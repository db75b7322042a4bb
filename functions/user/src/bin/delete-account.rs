//! `Mutation.deleteAccount`. Reads what is open of an account; writes users, vehicles, refresh tokens, the wallet and the
//! audit log; tells `USER_DELETED`; counts attempts in Redis.
use shared::{Cache, Outbox};
use user::delete_account;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (outbox, cache) = (Outbox::from_env(&config)?, Cache::from_env()?);
    shared::resolver(async |caller, arguments| delete_account(&outbox, &cache, &caller, arguments).await)
        .await
}
