//! What time brings: stops that are not obeyed, chargers that fall silent, transactions that nobody pays for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use charger::{Expired, Protocol, Records};
use chrono::TimeDelta;
use serde_json::{Value, json};
use session::{Session, Status};
use shared::Failure;
use support::{Charger, Driver, World, at};

fn start(tag: &str) -> Value {
    json!({"connectorId": 1, "idTag": tag, "meterStart": 100, "timestamp": "2026-02-21T12:00:05Z"})
}

/// A session that charges, begun through the app, and its transaction.
async fn charging(world: &World) -> (Charger, Driver, Session, Value) {
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    (charger, driver, session, id)
}

async fn expire(world: &World) -> Expired {
    world.registry.expire(world.now).await.unwrap()
}

async fn reconnect(world: &World, charger: &Charger) {
    let connection = &charger.connection;
    world
        .registry
        .connected(connection.charger, &connection.id, connection.protocol, world.now)
        .await
        .unwrap();
}

fn meter(id: &Value, at: &str, wh: &str) -> Value {
    json!({"connectorId": 1, "transactionId": id, "meterValue": [{"timestamp": at, "sampledValue": [{"value": wh}]}]})
}

#[tokio::test]
async fn a_stop_that_is_never_obeyed_is_asked_for_ten_times_and_then_when_the_driver_asks_again() {
    let mut world = World::new().await;
    let (_, driver, session, _) = charging(&world).await;
    world.end(&driver, session.id).await;
    let mut asked = 0;
    for _ in 0..15 {
        world.now += TimeDelta::seconds(91);
        asked += expire(&world).await.asked_again;
    }
    assert_eq!(asked, 9);
    let stopping = async || {
        let told = world.events("SESSION_UPDATED").await;
        told.iter().filter(|event| event["status"] == "STOPPING").count()
    };
    assert_eq!(stopping().await, 10);
    assert_eq!(world.get(&driver, session.id).await.status, Status::Stopping);
    for _ in 0..2 {
        world.end(&driver, session.id).await;
    }
    assert_eq!(stopping().await, 11);
}

#[tokio::test]
async fn a_session_of_which_nothing_is_told_for_a_day_is_settled_and_a_late_stop_changes_nothing() {
    for is_stopping in [false, true] {
        let mut world = World::new().await;
        let (charger, driver, session, id) = charging(&world).await;
        world.call(&charger, "MeterValues", meter(&id, "2026-02-21T12:01:00Z", "3100")).await;
        if is_stopping {
            world.end(&driver, session.id).await;
        }
        world.now += TimeDelta::hours(24) - TimeDelta::seconds(1);
        assert_eq!(expire(&world).await.settled, 0);
        world.now += TimeDelta::seconds(1);
        assert_eq!(expire(&world).await.settled, 1);
        let settled = world.get(&driver, session.id).await;
        assert_eq!(
            (settled.status, settled.reason.as_deref()),
            (Status::Completed, Some("NO_STOP_REPORTED"))
        );
        assert_eq!(
            (settled.energy.0, settled.end_time),
            ("3".parse().unwrap(), Some(at("2026-02-21T12:01:00Z")))
        );
        let ended = world.events("SESSION_ENDED").await;
        assert_eq!((ended.len(), &ended[0]["incomplete"]), (1, &json!(true)));
        assert_eq!(world.one("SELECT count(*) FROM open_sessions").await, 0);

        let stop = json!({"transactionId": id, "meterStop": 9100, "timestamp": "2026-02-21T14:00:00Z", "reason": "Local"});
        for _ in 0..2 {
            world.call(&charger, "StopTransaction", stop.clone()).await;
        }
        assert_eq!(world.get(&driver, session.id).await, settled);
        assert_eq!(world.events("SESSION_ENDED").await.len(), 1);
        let kept = "SELECT jsonb_build_array(stopped_at, stop_reason, stop_inferred, meter_high_wh) FROM transactions";
        assert_eq!(world.one(kept).await, json!(["2026-02-21T14:00:00+00:00", "Local", false, 9100]));
        assert_eq!(expire(&world).await, Expired { disconnected: 0, ..Expired::default() });
    }
}

#[tokio::test]
async fn a_charger_that_begins_what_was_cancelled_is_asked_to_stop_until_it_does() {
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    world.end(&driver, session.id).await;
    let begun = world.call(&charger, "StartTransaction", start("DRIVER")).await;
    assert_eq!(begun["idTagInfo"]["status"], "Invalid");
    world.call(&charger, "StartTransaction", start("DRIVER")).await;

    let asked = world.events("TRANSACTION_REFUSED").await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["transactionId"], begun["transactionId"].to_string());
    assert_eq!(asked[0]["chargePointId"], "CP-1");
    let schema: Value =
        serde_json::from_str(include_str!("../../../events/schemas/TRANSACTION_REFUSED.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap().validate(&asked[0]).unwrap();

    world.now += TimeDelta::seconds(91);
    assert_eq!(expire(&world).await.asked_again, 1);
    let stop = json!({"transactionId": begun["transactionId"], "meterStop": 101, "timestamp": "2026-02-21T12:02:00Z"});
    world.call(&charger, "StopTransaction", stop).await;
    world.now += TimeDelta::seconds(91);
    assert_eq!(expire(&world).await.asked_again, 0);
    assert_eq!(world.of(&driver).await.len(), 1);

    // One that never does is not asked for ever.
    let mut deaf = start("DRIVER");
    deaf["meterStart"] = json!(101);
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    world.end(&driver, session.id).await;
    world.call(&charger, "StartTransaction", deaf).await;
    for _ in 0..15 {
        world.now += TimeDelta::seconds(91);
        expire(&world).await;
    }
    assert_eq!(world.events("TRANSACTION_REFUSED").await.len(), 2 + 10);
}

#[tokio::test]
async fn a_201_charger_that_begins_what_was_given_up_is_asked_to_stop_and_one_that_tells_of_it_late_is_paid()
{
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp201, 1).await;
    let event = |kind: &str, seq: i32, transaction: &str, at: &str, remote: i32| {
        json!({
            "eventType": kind, "timestamp": at, "triggerReason": "RemoteStart", "seqNo": seq,
            "transactionInfo": {"transactionId": transaction, "remoteStartId": remote}, "evse": {"id": 1},
            "meterValue": [{"timestamp": at, "sampledValue": [{"value": 1000 * seq}]}],
        })
    };
    let given_up = async |world: &mut World| {
        let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
        let asked = world.registry.commanded(session.id, world.now).await.unwrap().unwrap();
        world.now += TimeDelta::minutes(4);
        assert_eq!(expire(world).await.failed, 1);
        asked.remote_start_id
    };
    // It bears no token: nobody but the request tells whose it would be.
    let request = given_up(&mut world).await;
    world
        .call(&charger, "TransactionEvent", event("Started", 0, "t-1", "2026-02-21T12:04:00Z", request))
        .await;
    assert_eq!(world.events("TRANSACTION_REFUSED").await.len(), 1);
    assert_eq!(world.of(&driver).await.len(), 1);
    world.call(&charger, "TransactionEvent", event("Ended", 1, "t-1", "2026-02-21T12:04:09Z", request)).await;

    // What had flowed while the charger was away was the driver's all the same.
    let request = given_up(&mut world).await;
    world.now += TimeDelta::hours(2);
    world.call(&charger, "TransactionEvent", event("Ended", 1, "t-2", "2026-02-21T13:00:00Z", request)).await;
    world
        .call(&charger, "TransactionEvent", event("Started", 0, "t-2", "2026-02-21T12:05:00Z", request))
        .await;
    let paid = world.of(&driver).await.remove(0);
    assert_eq!((paid.status, paid.energy.0), (Status::Completed, "1".parse().unwrap()));
    assert_eq!(world.events("TRANSACTION_REFUSED").await.len(), 1);
}

#[tokio::test]
async fn a_charger_that_goes_on_after_its_session_was_settled_is_asked_to_stop() {
    let mut world = World::new().await;
    let (charger, driver, session, id) = charging(&world).await;
    world.now += TimeDelta::hours(25);
    expire(&world).await;
    assert_eq!(world.get(&driver, session.id).await.status, Status::Completed);
    reconnect(&world, &charger).await;
    // What it tells of yesterday is no reason to ask; that it goes on is.
    world.call(&charger, "MeterValues", meter(&id, "2026-02-21T13:00:00Z", "3100")).await;
    assert_eq!(world.events("TRANSACTION_REFUSED").await.len(), 0);
    for _ in 0..2 {
        world.call(&charger, "MeterValues", meter(&id, "2026-02-22T13:00:00Z", "5100")).await;
    }
    assert_eq!(world.events("TRANSACTION_REFUSED").await.len(), 1);
}

#[tokio::test]
async fn the_expiry_waits_for_nobody() {
    let mut world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let busy = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let free = world.charger("CP-2", Protocol::Ocpp16, 1).await;
    world.start(&driver, json!({"stationId": busy.station})).await.unwrap();
    world.start(&other, json!({"stationId": free.station})).await.unwrap();
    world.now += TimeDelta::hours(3);

    // A report in the middle of its work has its charger's lock and its session's.
    let mut reporter = world.connect().await;
    let report = reporter.transaction().await.unwrap();
    let locked = format!(
        "UPDATE chargers SET last_seen_at = now() WHERE id = '{}';
         SELECT FROM sessions WHERE user_id = '{}' FOR UPDATE",
        busy.connection.charger, driver.id
    );
    report.batch_execute(&locked).await.unwrap();
    let meanwhile = tokio::time::timeout(Duration::from_secs(30), expire(&world)).await.expect("it waits");
    assert_eq!((meanwhile.failed, meanwhile.disconnected), (1, 1));
    report.commit().await.unwrap();
    let afterwards = expire(&world).await;
    assert_eq!((afterwards.failed, afterwards.disconnected), (1, 1));
}

#[tokio::test]
async fn who_has_no_account_any_more_charges_nowhere() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    world.run("UPDATE users SET deleted_at = now()").await;
    let refused = world.start(&driver, json!({"stationId": charger.station})).await;
    assert!(matches!(refused, Err(Failure::Unauthenticated(_))));
    let answer = world.call(&charger, "Authorize", json!({"idTag": "DRIVER"})).await;
    assert_eq!(answer["idTagInfo"]["status"], "Invalid");
    let answer = world.call(&charger, "StartTransaction", start("DRIVER")).await;
    assert_eq!(answer["idTagInfo"]["status"], "Invalid");
    assert!(world.of(&driver).await.is_empty());
}
