//! `DELETE /v1/bookings/holds/{token}`. Writes what `Mutation.releaseHold` does.
use booking::{Calendars, Released, release_hold};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let calendars = Calendars::from_env(&shared::aws_config().await)?;
    rest::route(async |caller, named| release_hold(&calendars, &caller, named).await.map(|_| Released::DONE))
        .await
}
