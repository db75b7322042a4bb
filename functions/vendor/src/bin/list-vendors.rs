//! `Query.vendors`. Reads vendors and what is known of their keys.
use shared::Database;
use vendor::vendors;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let database = Database::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| vendors(&database, &caller, arguments).await).await
}
