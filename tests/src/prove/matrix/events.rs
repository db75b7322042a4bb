//! The bus as operators see it, and what drivers want to be told.

use serde_json::json;

use super::row::{LOGGED_IN, OPERATORS, Row, Thing};

pub(super) const ROWS: &[Row] = &[
    Row::new("Query.notificationSettings", LOGGED_IN, |_| json!({})),
    Row::new("Query.eventTrail", OPERATORS, |scene| json!({ "correlationId": scene.stage.correlation })),
    Row::new("Query.deadLetters", OPERATORS, |scene| {
        json!({ "filter": { "ids": [scene.stage.dead_letter] }, "status": "OPEN" })
    }),
    Row::new("Query.auditLog", OPERATORS, |scene| json!({ "subject": scene.owner.id })),
    Row::new("Mutation.updateNotificationSettings", LOGGED_IN, |_| json!({ "input": { "push": true } })),
    Row::new("Mutation.replayDeadLetters", OPERATORS, |scene| {
        json!({ "input": { "filter": { "ids": [scene.thing] }, "dryRun": false, "reason": "for the proof" } })
    })
    .with(Thing::DeadLetter),
];
