//! What the bus tells of stations.

use serde_json::json;

use super::row::{PUBLIC, Row, SYSTEM};

pub(super) const ROWS: &[Row] = &[
    Row::new("Mutation.publishStationUpdate", SYSTEM, |scene| {
        json!({ "input": {
            "stationId": scene.stage.station, "connectorId": scene.stage.station, "status": "FAULTED",
            "updatedAt": "2026-01-01T00:00:00Z",
        } })
    }),
    Row::new("Subscription.onStationUpdated", PUBLIC, |scene| json!({ "stationId": scene.stage.station })),
];
