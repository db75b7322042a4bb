//! Run by a deployment before anything else, and monthly for the partitions to come. Writes the schema.
use migrate::{Request, migrate};
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let database =
        Database::from_env(&aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await)?;
    shared::task(async |invocation, _: Request| migrate(&database, invocation.at).await).await
}
