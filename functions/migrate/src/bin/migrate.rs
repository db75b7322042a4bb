//! Run by a deployment before anything else, and monthly for the partitions to come. Writes the schema.
use migrate::{Request, migrate};
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::task(async |invocation, _: Request| migrate(&database, invocation.at).await).await
}
