//! Prices and flat rates.

use serde_json::json;

use super::row::{LOGGED_IN, OPERATORS, OWN, PUBLIC, Row, Thing};

pub(super) const ROWS: &[Row] = &[
    Row::new("Query.tariff", LOGGED_IN, |scene| json!({ "stationId": scene.stage.station })),
    Row::new("Query.listTariffs", OPERATORS, |_| json!({})),
    Row::new(
        "Query.estimateCost",
        LOGGED_IN,
        |scene| json!({ "input": { "stationId": scene.stage.station, "energyKWh": "20", "durationMinutes": 30 } }),
    ),
    Row::new("Query.plans", PUBLIC, |_| json!({})),
    Row::new("Query.mySubscription", OWN, |_| json!({})),
    Row::new("Mutation.createTariff", OPERATORS, |scene| {
        let band = json!({ "days": ["MONDAY"], "from": "22:00", "to": "23:00", "perKWh": "0.30" });
        json!({ "input": {
            "stationId": scene.thing, "currency": "EUR", "perKWh": "0.50", "vatRate": "0.19", "bands": [band],
            "timeZone": "Europe/Berlin", "reason": "for the proof",
        } })
    })
    .with(Thing::Station),
    Row::new(
        "Mutation.endTariff",
        OPERATORS,
        |scene| json!({ "id": scene.thing, "reason": "for the proof" }),
    )
    .with(Thing::Tariff),
    Row::new("Mutation.createPlan", OPERATORS, |_| {
        json!({ "input": {
            "name": "Flat", "currency": "EUR", "monthlyPrice": "10.00", "fairUseKWh": "100",
            "perKWhBeyond": "0.50", "vatRate": "0.19", "reason": "for the proof",
        } })
    }),
    Row::new(
        "Mutation.retirePlan",
        OPERATORS,
        |scene| json!({ "id": scene.thing, "reason": "for the proof" }),
    )
    .with(Thing::Plan),
    Row::new(
        "Mutation.subscribeToPlan",
        OWN,
        |scene| json!({ "input": { "planId": scene.stage.plan, "idempotencyKey": "subscribe" } }),
    ),
    // Everybody has one since the row before.
    Row::new("Mutation.cancelSubscription", OWN, |_| json!({})).with(Thing::Subscription),
];
