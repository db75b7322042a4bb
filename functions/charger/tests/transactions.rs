//! Checklist 25 to 41: what chargers report of transactions, against a real database.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{Protocol, Records};
use chrono::TimeDelta;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use session::Status;
use support::{World, at, permutations};

const START_AT: &str = "2026-02-21T11:00:00Z";
const STOP_AT: &str = "2026-02-21T11:58:00Z";

fn start(tag: &str) -> Value {
    json!({"connectorId": 1, "idTag": tag, "meterStart": 1000, "timestamp": START_AT})
}

fn stop(transaction: &Value) -> Value {
    json!({"transactionId": transaction, "meterStop": 23400, "timestamp": STOP_AT, "reason": "Local"})
}

/// A TransactionEvent of `t-1` at EVSE 1.
fn event(kind: &str, seq: i32, at: &str, more: &Value) -> Value {
    let mut event = json!({
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "Trigger",
        "seqNo": seq,
        "transactionInfo": {"transactionId": "t-1"},
        "evse": {"id": 1, "connectorId": 1},
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

fn token(tag: &str) -> Value {
    json!({"idToken": tag, "type": "ISO14443"})
}

fn metered(watt_hours: i32) -> Value {
    json!([{"timestamp": START_AT, "sampledValue": [{"value": watt_hours}]}])
}

fn kwh(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[tokio::test]
async fn checklist_25_transaction_ids_are_positive_unique_and_no_sequence() {
    let world = World::new().await;
    world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let mut ids = Vec::new();
    for meter in 0..20 {
        let start = json!({"connectorId": 1, "idTag": "DRIVER", "meterStart": meter, "timestamp": START_AT});
        ids.push(world.call(&charger, "StartTransaction", start).await["transactionId"].as_i64().unwrap());
    }
    assert!(ids.iter().all(|id| (1..=i64::from(i32::MAX)).contains(id)), "{ids:?}");
    assert!(ids.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 1), "{ids:?}");
    // The spread of 20 random numbers, which a sequence does not have.
    let (low, high) = (ids.iter().min().unwrap(), ids.iter().max().unwrap());
    assert!(high - low > 100_000_000, "{ids:?}");
    let index = "SELECT indisunique FROM pg_index WHERE indexrelid = 'transactions_issued'::regclass";
    assert_eq!(world.one(index).await, true);
}

#[tokio::test]
async fn checklist_26_27_an_unknown_tag_gets_an_id_and_the_same_start_the_same_id() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 2).await;

    let stranger = world.call(&charger, "StartTransaction", start("STRANGER")).await;
    assert_eq!(stranger["idTagInfo"]["status"], "Invalid");
    assert!(stranger["transactionId"].as_i64().unwrap() > 0);
    let kept = "SELECT jsonb_build_object('id', transaction_id, 'refusal', refusal, 'session', session_id) FROM transactions";
    let id = stranger["transactionId"].to_string();
    assert_eq!(world.one(kept).await, json!({"id": id, "refusal": "INVALID", "session": null}));
    assert_eq!(world.call(&charger, "StartTransaction", start("STRANGER")).await, stranger);
    assert_eq!(world.call(&charger, "StopTransaction", stop(&stranger["transactionId"])).await, json!({}));

    // Tags know no case.
    let known = world.call(&charger, "StartTransaction", start("driver")).await;
    assert_eq!(known["idTagInfo"]["status"], "Accepted");
    assert_ne!(known["transactionId"], stranger["transactionId"]);
    for _ in 0..3 {
        assert_eq!(world.call(&charger, "StartTransaction", start("driver")).await, known);
    }
    assert_eq!(world.of(&driver).await.len(), 1);
    assert_eq!(world.events("SESSION_STARTED").await.len(), 1);
    assert_eq!(world.events("SESSION_ENDED").await.len(), 0);
}

#[tokio::test]
async fn checklist_28_29_30_a_transaction_told_of_hours_late_is_billed_by_the_charger_s_clock_and_once() {
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    world.now = at("2026-02-21T20:00:00Z");
    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    assert_eq!(world.call(&charger, "StopTransaction", stop(&id)).await, json!({}));

    let ended = world.events("SESSION_ENDED").await.remove(0);
    assert_eq!(ended["energyKwh"], json!(22.4));
    assert_eq!(ended["durationMinutes"], json!(58));
    assert_eq!(ended["startedAt"], "2026-02-21T11:00:00.000Z");
    assert_eq!(ended["endedAt"], "2026-02-21T11:58:00.000Z");
    assert_eq!(ended["incomplete"], false);
    assert_eq!(ended["reason"], "Local");
    let schema: Value =
        serde_json::from_str(include_str!("../../../events/schemas/SESSION_ENDED.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap().validate(&ended).unwrap();

    // A charger need not say why.
    let mut later = start("DRIVER");
    later["timestamp"] = json!("2026-02-21T12:10:00Z");
    let next = world.call(&charger, "StartTransaction", later).await["transactionId"].clone();
    let mut silent = stop(&next);
    silent["timestamp"] = json!("2026-02-21T12:50:00Z");
    silent.as_object_mut().unwrap().remove("reason");
    assert_eq!(world.call(&charger, "StopTransaction", silent).await, json!({}));
    let unexplained = world.events("SESSION_ENDED").await.remove(1);
    assert_eq!((&unexplained["reason"], &unexplained["corrected"]), (&Value::Null, &json!(false)));
    jsonschema::validator_for(&schema).unwrap().validate(&unexplained).unwrap();

    // Again, with a tag now, and for a transaction that never was.
    let mut again = stop(&id);
    again["idTag"] = json!("DRIVER");
    again["meterStop"] = json!(99_999);
    assert_eq!(world.call(&charger, "StopTransaction", again).await["idTagInfo"]["status"], "Accepted");
    for _ in 0..2 {
        assert_eq!(world.call(&charger, "StopTransaction", stop(&json!(424_242))).await, json!({}));
    }
    assert_eq!(world.events("SESSION_ENDED").await.len(), 2);
    let sessions = world.of(&driver).await;
    let session = sessions.iter().min_by_key(|session| session.start_time).unwrap();
    assert_eq!((session.status, session.energy.0), (Status::Completed, kwh("22.4")));
}

#[tokio::test]
async fn checklist_31_another_charger_s_stop_changes_nothing() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let thief = world.charger("CP-2", Protocol::Ocpp16, 1).await;
    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    assert_eq!(world.call(&thief, "StopTransaction", stop(&id)).await, json!({}));
    let meter = json!({"connectorId": 1, "transactionId": id, "meterValue": [{"timestamp": START_AT, "sampledValue": [{"value": "9000"}]}]});
    assert_eq!(world.call(&thief, "MeterValues", meter).await, json!({}));
    let session = world.of(&driver).await.remove(0);
    assert_eq!((session.status, session.energy.0), (Status::InProgress, Decimal::ZERO));
}

#[tokio::test]
async fn checklist_32_33_meter_values_move_the_session_s_energy() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    let meter = |transaction: Value, value: &str, unit: &str| {
        let sample = json!({"value": value, "unit": unit});
        let mut payload =
            json!({"connectorId": 1, "meterValue": [{"timestamp": START_AT, "sampledValue": [sample]}]});
        if !transaction.is_null() {
            payload["transactionId"] = transaction;
        }
        payload
    };
    for payload in [
        meter(Value::Null, "77777", "Wh"),
        meter(json!(424_242), "77777", "Wh"),
        meter(id.clone(), "2500", "Wh"),
        meter(id.clone(), "2500", "Wh"),
        meter(id.clone(), "3.2505", "kWh"),
        meter(id.clone(), "1500", "Wh"),
    ] {
        assert_eq!(world.call(&charger, "MeterValues", payload).await, json!({}));
    }
    assert_eq!(world.of(&driver).await[0].energy.0, kwh("2.2505"));
    let told: Vec<_> =
        world.events("SESSION_UPDATED").await.iter().map(|event| event["energyKwh"].clone()).collect();
    assert_eq!(told, [json!(1.5), json!(2.2505)]);
}

#[tokio::test]
async fn checklist_35_the_charger_itself_is_connector_zero() {
    let world = World::new().await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let status = |connector: i32, status: &str, at: &str| json!({"connectorId": connector, "errorCode": "NoError", "status": status, "timestamp": at});
    for payload in [
        status(0, "Faulted", START_AT),
        status(7, "Available", START_AT),
        status(1, "Preparing", "2026-02-21T11:00:02Z"),
        // Told later, but older: it never overwrites.
        status(1, "Available", "2026-02-21T11:00:01Z"),
        status(1, "Preparing", "2026-02-21T11:00:03Z"),
    ] {
        assert_eq!(world.call(&charger, "StatusNotification", payload).await, json!({}));
    }
    let events = world.events("CONNECTOR_STATUS_CHANGED").await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["status"], &events[0]["previousStatus"]),
        (&json!("PREPARING"), &json!("UNKNOWN"))
    );
    assert_eq!(world.one("SELECT status FROM connectors").await, "PREPARING");
}

#[tokio::test]
async fn checklist_36_a_tag_that_charges_elsewhere_is_concurrent() {
    let mut world = World::new().await;
    world.now = at("2026-02-21T11:01:00Z");
    let driver = world.driver("DRIVER").await;
    let first = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let second = world.charger("CP-2", Protocol::Ocpp16, 1).await;
    let id = world.call(&first, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    let refused = world.call(&second, "StartTransaction", start("DRIVER")).await;
    assert_eq!(refused["idTagInfo"]["status"], "ConcurrentTx");
    assert!(refused["transactionId"].as_i64().unwrap() > 0);
    assert_eq!(world.of(&driver).await.len(), 1);

    // Through the app a driver may charge two cars.
    let input = json!({"stationId": second.station});
    let session = world.start(&driver, input).await.unwrap();
    let mut asked = start("DRIVER");
    asked["meterStart"] = json!(2000);
    assert_eq!(world.call(&second, "StartTransaction", asked).await["idTagInfo"]["status"], "Accepted");
    assert_eq!(world.get(&driver, session.id).await.status, Status::InProgress);

    // What an offline charger tells of afterwards has been charged already.
    world.now = at("2026-02-21T15:00:00Z");
    let third = world.charger("CP-3", Protocol::Ocpp16, 1).await;
    let late = world.call(&third, "StartTransaction", start("DRIVER")).await;
    assert_eq!(late["idTagInfo"]["status"], "Accepted");
    world.call(&third, "StopTransaction", stop(&late["transactionId"])).await;
    world.call(&first, "StopTransaction", stop(&id)).await;
    assert_eq!(world.events("SESSION_ENDED").await.len(), 2);
}

#[tokio::test]
async fn checklist_37_to_41_a_transaction_s_reports_give_the_same_end_in_any_order() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let reports = [
        event("Started", 0, START_AT, &json!({"idToken": token("DRIVER"), "meterValue": metered(1000)})),
        event("Updated", 1, "2026-02-21T11:20:00Z", &json!({"meterValue": metered(9000)})),
        event("Updated", 2, "2026-02-21T11:40:00Z", &json!({"meterValue": metered(15000)})),
        event(
            "Ended",
            3,
            STOP_AT,
            &json!({"meterValue": metered(23400), "transactionInfo":
            {"transactionId": "t-1", "stoppedReason": "Local"}}),
        ),
    ];
    // Every order of four, each report twice.
    let orders = permutations(&[0, 1, 2, 3]);
    for (number, order) in orders.iter().enumerate() {
        let charger = world.charger(&format!("CP-{number}"), Protocol::Ocpp201, 1).await;
        for report in order.iter().chain(order) {
            let answer = world.call(&charger, "TransactionEvent", reports[*report].clone()).await;
            // Checklist 40: a token's status exactly when a token was sent.
            assert_eq!(answer.get("idTokenInfo").is_some(), *report == 0, "{order:?}");
        }
    }
    let sessions = "SELECT jsonb_agg(DISTINCT jsonb_build_array(status, start_time, end_time, energy_kwh, reason)) FROM sessions";
    let expected =
        json!(["COMPLETED", "2026-02-21T11:00:00+00:00", "2026-02-21T11:58:00+00:00", 22.4, "Local"]);
    assert_eq!(
        world.one(sessions).await.to_string().replace("22.4000", "22.4"),
        json!([expected]).to_string()
    );
    assert_eq!(world.one("SELECT count(*) FROM sessions").await, orders.len());
    assert_eq!(world.one("SELECT count(*) FROM open_sessions").await, 0);
    let ended = world.events("SESSION_ENDED").await;
    assert_eq!(ended.len(), orders.len());
    assert!(
        ended.iter().all(|event| event["energyKwh"] == json!(22.4) && event["durationMinutes"] == json!(58))
    );
    assert_eq!(world.events("SESSION_STARTED").await.len(), orders.len());
    drop(driver);
}

#[tokio::test]
async fn checklist_38_39_ended_first_waits_and_updated_last_reopens_nothing() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp201, 1).await;
    let call = async |report| world.call(&charger, "TransactionEvent", report).await;
    call(event("Ended", 2, STOP_AT, &json!({"meterValue": metered(23400)}))).await;
    assert!(world.of(&driver).await.is_empty());
    assert_eq!(world.one("SELECT count(*) FROM transactions").await, 1);
    call(event("Started", 0, START_AT, &json!({"idToken": token("DRIVER"), "meterValue": metered(1000)})))
        .await;
    assert_eq!(world.of(&driver).await[0].status, Status::Completed);
    call(event("Updated", 1, "2026-02-21T11:30:00Z", &json!({"meterValue": metered(9000)}))).await;
    let session = world.of(&driver).await.remove(0);
    assert_eq!((session.status, session.energy.0), (Status::Completed, kwh("22.4")));
    assert_eq!(world.events("SESSION_ENDED").await.len(), 1);
}

#[tokio::test]
async fn checklist_41_a_missing_report_is_flagged_and_waited_for_where_the_bill_depends_on_it() {
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp201, 1).await;
    let begun = json!({"idToken": token("DRIVER"), "meterValue": metered(1000)});
    world.call(&charger, "TransactionEvent", event("Started", 0, START_AT, &begun)).await;
    // Report 1 is missing, and the end bears no reading.
    world.call(&charger, "TransactionEvent", event("Ended", 2, STOP_AT, &json!({}))).await;
    assert_eq!(world.of(&driver).await[0].status, Status::InProgress);
    world.now += TimeDelta::minutes(16);
    world.registry.expire(world.now).await.unwrap();
    let ended = world.events("SESSION_ENDED").await.remove(0);
    assert_eq!((&ended["incomplete"], &ended["energyKwh"]), (&json!(true), &json!(0)));

    // With a reading at the end, the bill is right without the missing report; it is flagged all the same.
    let other = world.charger("CP-2", Protocol::Ocpp201, 1).await;
    world.call(&other, "TransactionEvent", event("Started", 0, START_AT, &begun)).await;
    let end = json!({"meterValue": metered(2000)});
    world.call(&other, "TransactionEvent", event("Ended", 2, STOP_AT, &end)).await;
    let ended = world.events("SESSION_ENDED").await.remove(1);
    assert_eq!((&ended["incomplete"], &ended["energyKwh"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn checklist_40_authorization_may_come_after_the_beginning() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp201, 1).await;
    let call = async |report| world.call(&charger, "TransactionEvent", report).await;
    let plugged = json!({"transactionInfo": {"transactionId": "t-1", "chargingState": "EVConnected"}});
    assert_eq!(call(event("Started", 0, START_AT, &plugged)).await, json!({}));
    assert!(world.of(&driver).await.is_empty());
    assert_eq!(world.one("SELECT status FROM connectors").await, "PREPARING");

    let wrong = json!({"idToken": token("STRANGER")});
    let answer = call(event("Updated", 1, "2026-02-21T11:00:10Z", &wrong)).await;
    assert_eq!(answer["idTokenInfo"]["status"], "Invalid");
    let right = json!({"idToken": token("DRIVER"), "transactionInfo":
        {"transactionId": "t-1", "chargingState": "Charging"}});
    let answer = call(event("Updated", 2, "2026-02-21T11:00:20Z", &right)).await;
    assert_eq!(answer["idTokenInfo"]["status"], "Accepted");
    assert_eq!(world.of(&driver).await[0].status, Status::InProgress);
    assert_eq!(world.one("SELECT status FROM connectors").await, "CHARGING");
}

#[tokio::test]
async fn authorize_knows_drivers_by_their_tags() {
    let world = World::new().await;
    world.driver("DRIVER").await;
    let old = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let new = world.charger("CP-2", Protocol::Ocpp201, 1).await;
    for (tag, status) in [("DRIVER", "Accepted"), ("driver", "Accepted"), ("STRANGER", "Invalid")] {
        let answer = world.call(&old, "Authorize", json!({"idTag": tag})).await;
        assert_eq!(answer["idTagInfo"]["status"], status);
        let answer = world.call(&new, "Authorize", json!({"idToken": token(tag)})).await;
        assert_eq!(answer["idTokenInfo"]["status"], status);
    }
}

#[tokio::test]
async fn checklist_28_a_clock_of_before_the_charger_was_set_up_gives_way_to_ours() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let start =
        json!({"connectorId": 1, "idTag": "DRIVER", "meterStart": 1000, "timestamp": "2018-01-01T00:00:00Z"});
    let id = world.call(&charger, "StartTransaction", start).await["transactionId"].clone();
    assert_eq!(world.of(&driver).await[0].start_time, Some(world.now));
    let stop = json!({"transactionId": id, "meterStop": 3000, "timestamp": "2018-01-01T01:00:00Z"});
    world.call(&charger, "StopTransaction", stop).await;
    let ended = world.of(&driver).await.remove(0);
    assert_eq!((ended.end_time, ended.energy.0), (Some(world.now), kwh("2")));
}

#[tokio::test]
async fn checklist_41_no_number_that_a_charger_sends_keeps_its_transaction_from_ending() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp201, 1).await;
    let call = async |report| world.call(&charger, "TransactionEvent", report).await;
    call(event("Started", 0, START_AT, &json!({"idToken": token("DRIVER"), "meterValue": metered(0)}))).await;
    let absurd = json!([{"timestamp": START_AT, "sampledValue": [{"value": 99_999_999_999.99}]}]);
    call(event("Updated", 1, START_AT, &json!({ "meterValue": absurd }))).await;
    call(event("Ended", i32::MAX, STOP_AT, &json!({"meterValue": metered(5000)}))).await;
    let ended = world.of(&driver).await.remove(0);
    assert_eq!((ended.status, ended.energy.0), (Status::Completed, kwh("5")));
}
