//! `Mutation.setStationHours`. Writes stations and the audit log; forgets the station's calendar.
use booking::{Calendars, set_station_hours};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let calendars = Calendars::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| set_station_hours(&calendars, &caller, arguments).await).await
}
