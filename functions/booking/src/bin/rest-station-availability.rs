//! `GET /v1/stations/{id}/availability`. Reads what `Query.stationAvailability` reads.
use booking::{Calendars, RestAvailability, station_availability};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let calendars = Calendars::from_env(&shared::aws_config().await)?;
    rest::route(async |caller, asked| {
        station_availability(&calendars, asked, caller.at).await.map(RestAvailability::from)
    })
    .await
}
