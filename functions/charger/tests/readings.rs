//! Meter readings: kept once, in whatever order and however often they come, bounded, and shown to whom they belong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::Protocol;
use chrono::TimeDelta;
use serde_json::{Value, json};
use session::{MeterValue, MeterValuesRequest};
use shared::{Caller, Failure, Page, Role, SessionId, Timestamp};
use support::{Charger, World, at, permutations};

const START_AT: &str = "2026-02-21T11:00:00Z";
const STOP_AT: &str = "2026-02-21T11:58:00Z";

fn start(tag: &str) -> Value {
    json!({"connectorId": 1, "idTag": tag, "meterStart": 1000, "timestamp": START_AT})
}

async fn values(world: &World, caller: Caller, arguments: Value) -> Result<Page<MeterValue>, Failure> {
    let request: MeterValuesRequest = serde_json::from_value(arguments).unwrap();
    session::meter_values(&world.sessions, caller, request).await
}

/// What all sessions' meters said, a line a session.
async fn kept(world: &World) -> Value {
    world
        .one(
            "SELECT jsonb_agg(DISTINCT said) FROM (
                 SELECT jsonb_agg(jsonb_build_array(at, energy_kwh, power_kw, soc) ORDER BY at) AS said
                 FROM meter_values GROUP BY session_id
             ) AS sessions",
        )
        .await
}

#[tokio::test]
async fn a_session_s_readings_are_shown_page_by_page_to_its_driver_and_to_operators() {
    let world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    let sampled = |at: &str, wh: &str, soc: &str| {
        json!({"timestamp": at, "sampledValue": [
            {"value": wh},
            {"value": "11.04", "measurand": "Power.Active.Import", "unit": "kW"},
            {"value": soc, "measurand": "SoC", "unit": "Percent", "location": "EV"},
        ]})
    };
    let meter =
        |sampled: Value| json!({"connectorId": 1, "transactionId": id.clone(), "meterValue": [sampled]});
    for _ in 0..2 {
        let payload = meter(sampled("2026-02-21T11:20:00Z", "9000", "45.5"));
        world.call(&charger, "MeterValues", payload).await;
    }
    // A charger that was offline tells at its end what it could not tell before; once more what it did.
    let stop = json!({
        "transactionId": id, "meterStop": 23400, "timestamp": STOP_AT,
        "transactionData": [
            sampled("2026-02-21T11:20:00Z", "9000", "45.5"), sampled("2026-02-21T11:10:00Z", "5000", "30"),
        ],
    });
    world.call(&charger, "StopTransaction", stop).await;

    let session = world.of(&driver).await.remove(0).id;
    let first =
        values(&world, world.caller(&driver), json!({"sessionId": session, "first": 3})).await.unwrap();
    let told = |page: &Page<MeterValue>| -> Vec<Value> {
        page.edges.iter().map(|edge| serde_json::to_value(&edge.node).unwrap()).collect()
    };
    assert_eq!(
        told(&first),
        [
            json!({"at": "2026-02-21T11:00:00Z", "energyKWh": 0.0, "powerKW": null, "soc": null}),
            json!({"at": "2026-02-21T11:10:00Z", "energyKWh": 4.0, "powerKW": 11.04, "soc": 30.0}),
            json!({"at": "2026-02-21T11:20:00Z", "energyKWh": 8.0, "powerKW": 11.04, "soc": 45.5}),
        ]
    );
    assert!(first.page_info.has_next_page);
    let rest = json!({"sessionId": session, "after": first.page_info.end_cursor});
    let rest = values(&world, world.caller_as(&other, Role::Operator), rest).await.unwrap();
    assert_eq!(
        told(&rest),
        [json!({"at": "2026-02-21T11:58:00Z", "energyKWh": 22.4, "powerKW": null, "soc": null})]
    );
    assert!(!rest.page_info.has_next_page);

    for id in [session, SessionId::new()] {
        let refused = values(&world, world.caller(&other), json!({"sessionId": id})).await;
        assert!(matches!(refused, Err(Failure::NotFound("session"))));
    }
    assert_eq!(
        world.one(&format!("SELECT session_readings('{session}')")).await,
        json!([
            {"at": "2026-02-21T11:00:00.000Z", "energyKwh": "0"},
            {"at": "2026-02-21T11:10:00.000Z", "energyKwh": "4"},
            {"at": "2026-02-21T11:20:00.000Z", "energyKwh": "8"},
            {"at": "2026-02-21T11:58:00.000Z", "energyKwh": "22.4"},
        ])
    );
}

#[tokio::test]
async fn checklist_38_readings_that_come_before_their_session_are_not_lost_and_their_order_is_no_matter() {
    let world = World::new().await;
    world.driver("DRIVER").await;
    let report = |kind: &str, seq: i32, at: &str, wh: i32| {
        let samples = json!([{"value": wh}, {"value": wh / 10, "measurand": "Power.Active.Import"}]);
        let mut report = json!({
            "eventType": kind, "timestamp": at, "triggerReason": "Trigger", "seqNo": seq,
            "transactionInfo": {"transactionId": "t-1"}, "evse": {"id": 1},
            "meterValue": [{"timestamp": at, "sampledValue": samples}],
        });
        if kind == "Started" {
            report["idToken"] = json!({"idToken": "DRIVER", "type": "ISO14443"});
        }
        report
    };
    let reports = [
        report("Started", 0, START_AT, 1000),
        report("Updated", 1, "2026-02-21T11:20:00Z", 9000),
        report("Updated", 2, "2026-02-21T11:40:00Z", 15000),
        report("Ended", 3, STOP_AT, 23400),
    ];
    for (number, order) in permutations(&[0, 1, 2, 3]).iter().enumerate() {
        let charger = world.charger(&format!("CP-{number}"), Protocol::Ocpp201, 1).await;
        for place in order.iter().chain(order) {
            world.call(&charger, "TransactionEvent", reports[*place].clone()).await;
        }
    }
    let said = json!([[
        ["2026-02-21T11:00:00+00:00", 0.0, 0.1, null],
        ["2026-02-21T11:20:00+00:00", 8.0, 0.9, null],
        ["2026-02-21T11:40:00+00:00", 14.0, 1.5, null],
        ["2026-02-21T11:58:00+00:00", 22.4, 2.34, null],
    ]]);
    let as_numbers = |value: Value| value.to_string().replace(".0000", ".0").replace("22.4000", "22.4");
    assert_eq!(as_numbers(kept(&world).await), said.to_string());
    let courses = "SELECT count(DISTINCT session_readings(id)) FROM sessions";
    assert_eq!(world.one(courses).await, 1);
}

/// A repeatable shuffle.
fn shuffled<T: Clone>(items: &[T], mut seed: u64) -> Vec<T> {
    let mut items = items.to_vec();
    for end in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(end, usize::try_from(seed >> 33).unwrap() % (end + 1));
    }
    items
}

async fn tell(world: &World, charger: &Charger, transaction: &Value, readings: &[(Timestamp, i64)]) {
    let sampled: Vec<_> = readings
        .iter()
        .map(|(at, wh)| json!({"timestamp": at, "sampledValue": [{"value": wh.to_string()}]}))
        .collect();
    let payload = json!({"connectorId": 1, "transactionId": transaction, "meterValue": sampled});
    world.call(charger, "MeterValues", payload).await;
}

#[tokio::test]
async fn of_many_readings_the_same_ones_are_left_whatever_their_order_and_the_last_is_among_them() {
    let mut world = World::new().await;
    world.now = at("2026-02-22T11:00:00Z");
    world.driver("DRIVER").await;
    // Each 30 s for twelve hours, more often at the end, and never a step back.
    let begun = at(START_AT);
    let moments = (1..1440).map(|step| step * 30).chain((0..300).map(|step| 43_200 + step * 2));
    let readings: Vec<_> =
        moments.map(|second| (begun + TimeDelta::seconds(second), 1000 + second * 2)).collect();
    for seed in 0..4 {
        let charger = world.charger(&format!("CP-{seed}"), Protocol::Ocpp16, 1).await;
        let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
        let told = if seed == 0 { readings.clone() } else { shuffled(&readings, seed) };
        for batch in told.chunks(70) {
            tell(&world, &charger, &id, batch).await;
        }
        // Some of it again.
        tell(&world, &charger, &id, &told[200..300]).await;
        let stop = json!({"transactionId": id, "meterStop": 100_000, "timestamp": "2026-02-21T23:30:00Z"});
        world.call(&charger, "StopTransaction", stop).await;
    }
    let kept = kept(&world).await;
    assert_eq!(kept.as_array().unwrap().len(), 1, "each order leaves the same");
    let kept = kept[0].as_array().unwrap();
    assert!((250..=500).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[0][0], "2026-02-21T11:00:00+00:00");
    assert_eq!(
        (&kept[kept.len() - 1][0], &kept[kept.len() - 1][1]),
        (&json!("2026-02-21T23:30:00+00:00"), &json!(99.0))
    );
    // No gap is wider than a few steps of what was told.
    let moments: Vec<Timestamp> = kept.iter().map(|it| at(it[0].as_str().unwrap())).collect();
    let widest = moments[..kept.len() - 1].windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(widest <= TimeDelta::seconds(256 + 30), "{widest}");

    let course = world.one("SELECT jsonb_agg(DISTINCT session_readings(id)) FROM sessions").await;
    assert_eq!(course.as_array().unwrap().len(), 1);
    let course = course[0].as_array().unwrap();
    assert!((100..=200).contains(&course.len()), "{}", course.len());
    let points: Vec<(Timestamp, f64)> = course
        .iter()
        .map(|it| (at(it["at"].as_str().unwrap()), it["energyKwh"].as_str().unwrap().parse().unwrap()))
        .collect();
    assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
    assert_eq!((points[0].0, points[points.len() - 1].0), (begun, at("2026-02-21T23:30:00Z")));
}

#[tokio::test]
async fn another_charger_s_readings_and_those_of_a_wrong_clock_are_not_kept() {
    let world = World::new().await;
    world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let thief = world.charger("CP-2", Protocol::Ocpp16, 1).await;
    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    tell(&world, &thief, &id, &[(at("2026-02-21T11:30:00Z"), 9000)]).await;
    for wrong in ["1970-01-01T00:00:00Z", "2018-01-01T00:00:00Z", "2026-02-21T13:00:00Z"] {
        tell(&world, &charger, &id, &[(at(wrong), 9000)]).await;
    }
    assert_eq!(world.one("SELECT count(*) FROM meter_readings").await, 1);
    // What flowed counts all the same.
    assert_eq!(world.one("SELECT energy_kwh = 8 FROM sessions").await, true);
}
