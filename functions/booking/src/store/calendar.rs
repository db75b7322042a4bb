//! Calendars and opening hours in PostgreSQL.

use serde::Deserialize;
use serde_json::json;
use shared::{
    CorrelationId, Database, DatabaseError, Money, Reason, Statement, StationId, Timestamp, UserId,
};

use crate::calendar::{AHEAD, Calendar, ConnectorTime};
use crate::hours::Hours;

/// A row of `station_calendar`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Row {
    Station(Station),
    Connector(ConnectorTime),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Station {
    hours: Hours,
    booking_fee: Option<Money>,
}

/// The station's calendar from now on; none of an unknown station.
pub(crate) async fn read(
    database: &Database,
    station: StationId,
    now: Timestamp,
) -> Result<Option<Calendar>, DatabaseError> {
    let read =
        Statement::read("SELECT station_calendar(:station::uuid, :now::timestamptz, :until::timestamptz)");
    let read = read.bind("station", station).bind("now", now).bind("until", now + AHEAD);
    let (mut calendar, mut connectors) = (None, Vec::new());
    for row in database.rows(read).await? {
        match row {
            Row::Station(station) => calendar = Some(station),
            Row::Connector(connector) => connectors.push(connector),
        }
    }
    Ok(calendar.map(|Station { hours, booking_fee }| Calendar { hours, booking_fee, connectors }))
}

/// Sets when a station is open; false for an unknown one.
pub(crate) async fn set_hours(
    database: &Database,
    station: StationId,
    hours: &Hours,
    (operator, reason): (UserId, &Reason),
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<bool, DatabaseError> {
    let write = Statement::new(
        "SELECT set_station_hours(:station::uuid, :hours::jsonb, :operator::uuid, :reason::text, :now::timestamptz,
                                  :correlation_id::uuid)",
    );
    let write = write
        .bind("station", station)
        .bind("hours", json!(hours))
        .bind("operator", operator)
        .bind("reason", reason.as_str())
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    Ok(database.row(write).await?.unwrap_or(false))
}
