//! `Mutation.holdSlot`. Reads a calendar, takes the hold in Redis or, with Redis gone, in slot_holds; tells `SLOT_HOLD_CREATED`.
use booking::{HoldDesk, hold_slot};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let desk = HoldDesk::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| hold_slot(&desk, &caller, arguments).await).await
}
