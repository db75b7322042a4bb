//! `POST /v1/bookings/holds`. Reads and writes what `Mutation.holdSlot` does.
use booking::{HoldDesk, RestHold, hold};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let desk = HoldDesk::from_env(&shared::aws_config().await)?;
    rest::route(async |caller, wish| hold(&desk, &caller, wish).await.map(RestHold::from)).await
}
