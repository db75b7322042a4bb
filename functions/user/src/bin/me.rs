//! `Query.me`. Reads users and vehicles.
use shared::{Caller, Database};
use user::me;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller: Caller, _: serde::de::IgnoredAny| me(&database, &caller).await).await
}
