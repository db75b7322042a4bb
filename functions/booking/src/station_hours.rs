//! `setStationHours`: when a station is open, by an operator's hand.

use serde::{Deserialize, Serialize};
use shared::{Caller, Failure, Reason, Role, StationId};

use crate::calendar_book::Calendars;
use crate::hours::{Hours, OpeningPeriod, Zone};
use crate::store;

/// Three for each day.
const MOST_PERIODS: usize = 21;

/// Arguments of `Mutation.setStationHours`.
#[derive(Debug, Deserialize)]
pub struct SetStationHours {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    #[serde(deserialize_with = "rest::parsed")]
    station_id: StationId,
    time_zone: Zone,
    periods: Option<Vec<OpeningPeriod>>,
    reason: Reason,
}

/// GraphQL `StationHours`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StationHours {
    /// Whose.
    pub station_id: StationId,
    /// In which zone, and when.
    #[serde(flatten)]
    pub hours: Hours,
}

/// Sets when a station is open. Operators only. Bookings that lie outside stay.
pub async fn set_station_hours(
    calendars: &Calendars,
    caller: &Caller,
    request: SetStationHours,
) -> Result<StationHours, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let Input { station_id, time_zone, periods, reason } = request.input;
    if periods.as_ref().is_some_and(|periods| periods.len() > MOST_PERIODS) {
        return Err(Failure::invalid("input.periods", format!("must have at most {MOST_PERIODS} periods")));
    }
    let hours = Hours { time_zone, periods };
    if let Some((field, message)) = hours.fault() {
        return Err(Failure::invalid(format!("input.{field}"), message));
    }
    let (by, at) = ((operator, &reason), caller.at);
    let database = calendars.database();
    if !store::calendar::set_hours(database, station_id, &hours, by, at, caller.correlation_id).await? {
        return Err(Failure::NotFound("station"));
    }
    calendars.holds().forget_calendar(station_id).await;
    Ok(StationHours { station_id, hours })
}
