//! Charging networks, as operators set them up.

use serde_json::json;
use uuid::Uuid;

use super::row::{OPERATORS, Row, Thing};

pub(super) const ROWS: &[Row] = &[
    Row::new("Query.vendors", OPERATORS, |_| json!({ "first": 100 })),
    Row::new("Mutation.registerVendor", OPERATORS, |_| json!({ "input": { "name": Uuid::new_v4() } })),
    Row::new("Mutation.rotateVendorKey", OPERATORS, |scene| {
        json!({ "input": { "vendorId": scene.thing, "reason": "for the proof" } })
    })
    .with(Thing::Network),
    Row::new("Mutation.registerVendorConnectors", OPERATORS, |scene| {
        json!({ "input": {
            "vendorId": scene.thing, "stationId": scene.stage.station,
            "connectors": [{ "vendorConnectorId": "1", "number": 7, "type": "CCS (Type 2)", "powerKW": 50.0 }],
        } })
    })
    .with(Thing::Network),
];
