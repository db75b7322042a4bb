//! `Mutation.releaseHold`. Gives a hold back in Redis and in slot_holds.
use booking::{Calendars, release_hold};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let calendars = Calendars::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| release_hold(&calendars, &caller, arguments).await).await
}
