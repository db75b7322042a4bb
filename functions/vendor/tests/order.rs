//! Reports in any order, any number of times, at once: one end of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::cell::Cell;

use futures::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use shared::{ConnectorId, StationId, VendorId};
use support::{World, report};
use vendor::Report;

const KINDS: usize = 5;

/// What is told of one session and its connector: occupied before it, its start, its end, free after it; and its end
/// once more, as another webhook.
fn told(
    world: &World,
    vendor: VendorId,
    station: StationId,
    connector: (ConnectorId, usize),
    length: i64,
) -> [Report; KINDS] {
    let (id, number) = connector;
    let session = format!("s-{number}");
    let status = |word: &str| json!({ "stationId": station, "vendorConnectorId": format!("v-{number}"), "status": word });
    let start = json!({
        "vendorSessionId": session, "connectorId": id, "startMeterReading": "1000.25",
        "idTag": format!("TAG-{number}"),
    });
    let end = json!({ "vendorSessionId": session, "endMeterReading": "1025.75", "energyKwh": 25.5 });
    [
        report(vendor, world.after(-10), "CONNECTOR_STATUS", status("OCCUPIED")),
        report(vendor, world.after(0), "SESSION_START", start),
        report(vendor, world.after(length), "SESSION_END", end.clone()),
        report(vendor, world.after(length), "SESSION_END", end),
        report(vendor, world.after(length.max(0) + 60), "CONNECTOR_STATUS", status("AVAILABLE")),
    ]
}

/// What must come of it, whatever the order.
async fn check(world: &World, connector: ConnectorId, length: i64) {
    let state = format!(
        "SELECT concat_ws(' ', sessions.status, energy_kwh, extract(epoch FROM end_time - start_time)::bigint,
                          connectors.status, (SELECT count(*) FROM open_sessions WHERE connector_id = connectors.id),
                          tariff_id IS NOT NULL)
         FROM sessions JOIN connectors ON connectors.id = connector_id WHERE connector_id = '{connector}'"
    );
    assert_eq!(world.text(&state).await, format!("COMPLETED 25.5000 {} AVAILABLE 0 t", length.max(0)));
    for (event_type, count) in [("SESSION_STARTED", 1), ("SESSION_ENDED", 1), ("SESSION_UPDATED", 0)] {
        let events = format!(
            "SELECT concat_ws(' ', count(*), min(payload->>'energyKwh')) FROM outbox
             WHERE event_type = '{event_type}' AND payload->>'connectorId' = '{connector}'"
        );
        let told = world.text(&events).await;
        assert!(told.starts_with(&count.to_string()), "{event_type}: {told}");
        assert!(event_type != "SESSION_ENDED" || told == "1 25.5", "{told}");
    }
}

/// Every report at least once, some more often, in any order; the session's seconds (an end may bear an earlier time
/// than its start, which was sent in vain at first).
fn story() -> impl Strategy<Value = (Vec<usize>, i64)> {
    let orders = proptest::collection::vec(0..KINDS, 0..5).prop_flat_map(|repeated| {
        let all: Vec<usize> = (0..KINDS).chain(repeated).collect();
        Just(all).prop_shuffle()
    });
    (orders, prop_oneof![Just(3600_i64), Just(0), Just(-30)])
}

#[test]
fn whatever_order_and_however_often_the_end_is_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (world, vendor, station, connectors) = runtime.block_on(async {
        let world = World::new().await;
        let (vendor, station) = (world.vendor().await, world.station().await);
        let connectors = world.connectors(vendor, station, 100).await;
        (world, vendor, station, connectors)
    });
    let used = Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 60,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&story(), |(order, length)| {
            let number = used.get() + 1;
            used.set(number);
            let connector = connectors[number - 1];
            runtime.block_on(async {
                world.driver(&format!("TAG-{number}")).await;
                let reports = told(&world, vendor, station, (connector, number), length);
                for place in &order {
                    world.process(&reports[*place]).await.unwrap();
                }
                check(&world, connector, length).await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(world.check_events());
}

#[tokio::test]
async fn all_at_once_is_an_order_too() {
    let world = World::new().await;
    let (vendor, station) = (world.vendor().await, world.station().await);
    for (place, connector) in world.connectors(vendor, station, 12).await.into_iter().enumerate() {
        let number = place + 1;
        world.driver(&format!("TAG-{number}")).await;
        let reports = told(&world, vendor, station, (connector, number), 600);
        let twice = reports.iter().chain(&reports);
        for taken in join_all(twice.map(|report| world.process(report))).await {
            taken.unwrap();
        }
        check(&world, connector, 600).await;
    }
}

/// One after the other at one connector, told of all at once: nobody waits for anybody in a circle, and none is mixed up.
#[tokio::test]
async fn sessions_of_one_connector_told_at_once_are_each_its_own() {
    let world = World::new().await;
    let (vendor, station) = (world.vendor().await, world.station().await);
    for (place, connector) in world.connectors(vendor, station, 8).await.into_iter().enumerate() {
        world.driver(&format!("TAG-{place}")).await;
        let session = |number: i64| {
            let name = format!("{place}-{number}");
            let start = json!({
                "vendorSessionId": name, "connectorId": connector, "startMeterReading": number * 10,
                "idTag": format!("TAG-{place}"),
            });
            let end = json!({ "vendorSessionId": name, "endMeterReading": number * 10 + number });
            [
                report(vendor, world.after(number * 100), "SESSION_START", start),
                report(vendor, world.after(number * 100 + 90), "SESSION_END", end),
            ]
        };
        let mut reports: Vec<_> = (1..=6).flat_map(session).collect();
        reports.rotate_left(place);
        for taken in join_all(reports.iter().map(|report| world.process(report))).await {
            taken.unwrap();
        }
        let state = format!(
            "SELECT concat_ws(' ', string_agg(trim_scale(energy_kwh)::text, ',' ORDER BY start_time), min(status),
                              max(extract(epoch FROM end_time - start_time)),
                              (SELECT count(*) FROM open_sessions WHERE connector_id = '{connector}'),
                              (SELECT status FROM connectors WHERE id = '{connector}'))
             FROM sessions WHERE connector_id = '{connector}'"
        );
        assert_eq!(world.text(&state).await, "1,2,3,4,5,6 COMPLETED 90.000000 0 FINISHING");
    }
    assert_eq!(world.events("SESSION_ENDED").await.len(), 48);
}
