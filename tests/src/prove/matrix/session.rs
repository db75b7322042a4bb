//! Charging sessions.

use serde_json::json;

use super::row::{BY_USER, OPERATORS, OWN, OWNER_OR_OPERATOR, Row, SYSTEM, Thing};

pub(super) const ROWS: &[Row] = &[
    Row::new("Query.getSession", OWNER_OR_OPERATOR, |scene| json!({ "id": scene.stage.session })),
    Row::new("Query.listSessions", OWN, |_| json!({ "first": 100 })),
    Row::new("Query.listSessions", OWN, |scene| json!({ "stationId": scene.stage.station })),
    Row::new("Query.listSessions", BY_USER, |scene| json!({ "userId": scene.owner.id })),
    Row::new("Query.activeSessions", OWN, |_| json!({})),
    Row::new("Query.meterValues", OWNER_OR_OPERATOR, |scene| json!({ "sessionId": scene.stage.session })),
    // The key is everybody's: it is each account's own name for a request.
    Row::new(
        "Mutation.startSession",
        OWN,
        |scene| json!({ "input": { "stationId": scene.thing, "idempotencyKey": "start" } }),
    )
    .with(Thing::Station),
    Row::new("Mutation.endSession", OWNER_OR_OPERATOR, |scene| json!({ "id": scene.thing }))
        .with(Thing::OpenSession),
    Row::new(
        "Mutation.updateSession",
        OPERATORS,
        |scene| json!({ "input": { "id": scene.thing, "energyKWh": "1.5", "reason": "for the proof" } }),
    )
    .with(Thing::EndedSession),
    Row::new("Mutation.publishSessionStatus", SYSTEM, |scene| {
        json!({ "input": {
            "sessionId": scene.stage.session, "stationId": scene.stage.station, "status": "COMPLETED",
            "energyKWh": 1.0, "reason": "forged", "timestamp": "2026-01-01T00:00:00Z",
        } })
    }),
    Row::new(
        "Subscription.onSessionStatusChanged",
        OWNER_OR_OPERATOR,
        |scene| json!({ "sessionId": scene.stage.session }),
    ),
];
