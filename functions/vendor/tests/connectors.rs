//! Vendors' connectors: set up once, however often they are named.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::{Role, StationId, VendorId};
use support::{World, connector, told};

#[tokio::test]
async fn a_connector_is_set_up_once_and_told_of_once() {
    let world = World::new().await;
    let (vendor, station) = (world.vendor().await, world.station().await);
    let made = world.register(vendor, station, &[connector(1), connector(2)]).await.unwrap();
    assert_eq!(made[0]["connectorNumber"], "1");
    assert_eq!((&made[0]["status"], &made[0]["quantity"]), (&json!("UNKNOWN"), &json!(1)));
    assert_eq!((&made[0]["type"], &made[0]["powerKW"]), (&json!("CCS (Type 2)"), &json!(150)));

    // In another order, with a new one between, by several at once.
    let wanted = [connector(2), connector(3), connector(1)];
    for again in join_all((0..4).map(|_| world.register(vendor, station, &wanted))).await {
        let again = again.unwrap();
        assert_eq!((&again[0]["id"], &again[2]["id"]), (&made[1]["id"], &made[0]["id"]));
    }
    let mut other = connector(1);
    other["type"] = json!("CHAdeMO");
    other["number"] = json!(9);
    let same = world.register(vendor, station, &[other]).await.unwrap();
    assert_eq!(same, made[..1], "what is there stays as it is");

    let events = world.events("CONNECTOR_STATUS_CHANGED").await;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["chargerId"].is_null() && event["status"] == "UNKNOWN"));
    world.check_events().await;
    assert_eq!(world.text("SELECT count(*) FROM audit_log WHERE action LIKE 'VENDOR_CONN%'").await, "2");
}

#[tokio::test]
async fn what_cannot_be_set_up_leaves_nothing() {
    let world = World::new().await;
    let (vendor, station, elsewhere) = (world.vendor().await, world.station().await, world.station().await);
    world.register(vendor, station, &[connector(1)]).await.unwrap();
    let mut clash = connector(2);
    clash["number"] = json!(1);
    for (vendor, station, wanted, code) in [
        (vendor, elsewhere, vec![connector(7), connector(1)], "VENDOR_CONNECTOR_ELSEWHERE"),
        (vendor, station, vec![connector(7), clash.clone()], "CONNECTOR_NUMBER_TAKEN"),
        (VendorId::new(), station, vec![connector(7)], "NotFound"),
        (vendor, StationId::new(), vec![connector(7)], "NotFound"),
        (vendor, station, vec![], "input.connectors"),
        (vendor, station, vec![connector(7), connector(7)], "input.connectors"),
        (vendor, station, vec![connector(1), clash], "input.connectors"),
        (vendor, station, (1..=101).map(connector).collect(), "input.connectors"),
        (vendor, station, vec![json!({ "vendorConnectorId": "v" })], "input.connectors[0]"),
    ] {
        assert_eq!(told(world.register(vendor, station, &wanted).await), code);
    }
    assert_eq!(world.text("SELECT count(*) FROM connectors").await, "1");
    // Another vendor may use the same names.
    assert!(world.register(world.vendor().await, station, &[connector(1)]).await.is_ok());
    let input = json!({ "vendorId": vendor, "stationId": station, "connectors": [connector(3)] });
    let arguments = shared::read_fields(json!({ "input": input })).unwrap();
    let driver = world.caller(Role::Driver);
    assert_eq!(told(vendor::register_connectors(&world.outbox, &driver, arguments).await), "Forbidden");
}

#[tokio::test]
async fn a_hundred_at_once_fit_into_an_answer() {
    let world = World::new().await;
    let (vendor, station) = (world.vendor().await, world.station().await);
    let wanted: Vec<Value> = (1..=100)
        .map(|number| {
            let mut connector = connector(number);
            connector["type"] = json!("é".repeat(80));
            connector["vendorConnectorId"] = json!(format!("{}{number}", "é".repeat(60)));
            connector
        })
        .collect();
    assert_eq!(world.register(vendor, station, &wanted).await.unwrap().len(), 100);
    assert_eq!(world.events("CONNECTOR_STATUS_CHANGED").await.len(), 100);
}
