//! `Query.booking`. Reads bookings.
use booking::booking;
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let database = Database::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| booking(&database, &caller, arguments).await).await
}
