//! `Query.stationAvailability`. Reads stations, connectors, bookings, holds and sessions, from Redis if they are there.
use booking::{Calendars, station_availability};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let calendars = Calendars::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, asked| station_availability(&calendars, asked, caller.at).await).await
}
