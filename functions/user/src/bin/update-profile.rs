//! `Mutation.updateProfile`. Writes users and the audit log; counts attempts in Redis.
use shared::{Cache, Database};
use user::update_profile;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let (database, cache) = (Database::from_env(&config)?, Cache::from_env()?);
    shared::resolver(async |caller, arguments| update_profile(&database, &cache, &caller, arguments).await)
        .await
}
