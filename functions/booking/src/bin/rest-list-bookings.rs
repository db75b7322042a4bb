//! `GET /v1/bookings`. Reads bookings.
use booking::list_bookings;
use shared::Database;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let database = Database::from_env(&shared::aws_config().await)?;
    rest::route(async |caller, fields| list_bookings(&database, &caller, fields).await).await
}
