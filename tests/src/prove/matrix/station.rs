//! Stations, and the chargers that operators put there.

use serde_json::json;
use uuid::Uuid;

use super::row::{OPERATORS, PUBLIC, Row};

pub(super) const ROWS: &[Row] = &[
    Row::new("Query.getStation", PUBLIC, |scene| json!({ "id": scene.stage.station })),
    Row::new(
        "Query.nearbyStations",
        PUBLIC,
        |_| json!({ "latitude": 52.52, "longitude": 13.405, "radiusKm": 5.0 }),
    ),
    Row::new("Mutation.registerCharger", OPERATORS, |scene| {
        json!({ "input": {
            "stationId": scene.stage.station, "chargePointId": Uuid::new_v4(), "password": "sixteen-letters!!",
            "connectors": [{ "number": 1, "type": "CCS (Type 2)", "powerKW": 50.0 }],
        } })
    }),
];
