//! `Mutation.updateVehicle`. Writes vehicles.
use shared::Database;
use user::update_vehicle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let database = Database::from_env(&config)?;
    shared::resolver(async |caller, arguments| update_vehicle(&database, &caller, arguments).await).await
}
