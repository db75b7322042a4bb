//! Slots, holds and bookings.

use chrono::{DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};

use super::row::{
    LOGGED_IN, OPERATORS, OWN, OWNER_ALONE, OWNER_OR_OPERATOR, PUBLIC, REMOVED, Row, Scene, Thing,
};

/// An hour of a connector, so many hours from now.
pub(super) fn slot(station: &str, connector: &str, hours: i64) -> Value {
    let start = Utc::now().duration_trunc(TimeDelta::hours(1)).unwrap_or_default() + TimeDelta::hours(hours);
    json!({
        "stationId": station, "connectorId": connector, "startTs": start, "endTs": start + TimeDelta::hours(1),
    })
}

/// A station and its connector, of which the one asks that comes first.
fn wanted(scene: &Scene<'_>) -> Value {
    let (station, connector) = scene.thing.split_once('/').unwrap_or_default();
    json!({ "input": slot(station, connector, 30) })
}

pub(super) const ROWS: &[Row] = &[
    Row::new("Query.stationAvailability", PUBLIC, |scene| json!({ "stationId": scene.stage.station })),
    Row::new("Query.myBookings", OWN, |_| json!({ "first": 100 })),
    Row::new("Query.booking", OWNER_OR_OPERATOR, |scene| json!({ "id": scene.stage.booking })),
    Row::new("Mutation.holdSlot", LOGGED_IN, wanted).with(Thing::Connector),
    Row::new("Mutation.releaseHold", REMOVED, |scene| json!({ "token": scene.thing })).with(Thing::Hold),
    Row::new(
        "Mutation.confirmBooking",
        OWNER_ALONE,
        |scene| json!({ "input": { "holdToken": scene.thing } }),
    )
    .with(Thing::Hold),
    Row::new("Mutation.cancelBooking", OWNER_ALONE, |scene| json!({ "id": scene.thing }))
        .with(Thing::Booking),
    Row::new("Mutation.setStationHours", OPERATORS, |scene| {
        json!({ "input": {
            "stationId": scene.thing, "timeZone": "Europe/Berlin", "reason": "for the proof",
            "periods": [{ "days": ["MONDAY"], "from": "08:00", "to": "22:00" }],
        } })
    })
    .with(Thing::Station),
];
