//! Connectors that vendors tell us of: nothing can be asked of them, and what is told keeps its order.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{Protocol, Records, SessionUpdated, Wish, command};
use chrono::TimeDelta;
use serde_json::{Value, json};
use session::{Session, Status};
use shared::{Failure, Role, SessionId};
use support::{Driver, World, event};
use uuid::Uuid;

fn code(result: Result<Session, Failure>) -> &'static str {
    match result {
        Err(Failure::Conflict { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

async fn end(world: &World, driver: &Driver, role: Role, id: SessionId) -> Result<Session, Failure> {
    let request = serde_json::from_value(json!({ "id": id })).unwrap();
    session::end(&world.sessions, world.caller_as(driver, role), request).await
}

/// A session there in that state, since a while.
async fn session_at(world: &World, driver: &Driver, connector: Uuid, status: &str) -> SessionId {
    let id = SessionId::new();
    world
        .run(&format!(
            "INSERT INTO sessions (id, user_id, station_id, connector_id, status, start_time, end_time, remote_start_id,
                                   stop_requested_at, stop_requests, correlation_id, created_at, updated_at)
             SELECT '{id}', '{driver}', station_id, id, '{status}', '2026-02-20',
                    CASE WHEN '{status}' = 'COMPLETED' THEN '2026-02-21'::timestamptz END, 1, '2026-02-20', 1,
                    gen_random_uuid(), '2026-02-20', '2026-02-20'
             FROM connectors WHERE id = '{connector}';
             INSERT INTO open_sessions (connector_id, session_id, user_id)
             SELECT connector_id, id, user_id FROM sessions WHERE id = '{id}' AND status <> 'COMPLETED'",
            driver = driver.id
        ))
        .await;
    id
}

fn schema(event_type: &str) -> jsonschema::Validator {
    let path = format!("{}/../../events/schemas/{event_type}.json", env!("CARGO_MANIFEST_DIR"));
    jsonschema::validator_for(&serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        .unwrap()
}

#[tokio::test]
async fn a_connector_has_one_who_tells_of_it_and_a_vendor_one_name_for_it() {
    let world = World::new().await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    world.vendor_connector(charger.station).await;
    for defect in [
        "UPDATE connectors SET charger_id = NULL, vendor_id = NULL, vendor_connector_id = NULL",
        "UPDATE connectors SET vendor_connector_id = 'x' WHERE charger_id IS NOT NULL",
        "UPDATE connectors SET vendor_connector_id = NULL WHERE vendor_id IS NOT NULL",
        "UPDATE connectors SET vendor_id = (SELECT id FROM vendors LIMIT 1), vendor_connector_id = 'two'
         WHERE charger_id IS NOT NULL",
        "INSERT INTO connectors (id, station_id, vendor_id, vendor_connector_id, connector_number, connector_type,
                                 power_kw, updated_at)
         SELECT gen_random_uuid(), station_id, vendor_id, vendor_connector_id, 2, connector_type, power_kw, now()
         FROM connectors WHERE vendor_id IS NOT NULL",
    ] {
        let refused = world.connect().await.batch_execute(defect).await.unwrap_err();
        assert_eq!(&refused.code().unwrap().code()[..2], "23", "{defect}");
    }
}

#[tokio::test]
async fn nothing_can_be_asked_of_a_vendor_s_connector() {
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    // Beside a charger of ours, and alone.
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let connector = world.vendor_connector(charger.station).await;
    let there = json!({"stationId": charger.station, "connectorId": connector});
    assert_eq!(code(world.start(&driver, there.clone()).await), "STATION_NOT_CONTROLLED");
    let own = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    assert_eq!(own.connector_id.uuid(), charger.connectors[0]);
    let elsewhere = Uuid::now_v7();
    world
        .run(&format!(
            "INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
             VALUES ('{elsewhere}', 'V', 0, 0, 'OPERATIONAL', now())"
        ))
        .await;
    let alone = world.vendor_connector(elsewhere).await;
    assert_eq!(code(world.start(&driver, json!({"stationId": elsewhere})).await), "STATION_NOT_CONTROLLED");
    let nowhere = json!({"stationId": elsewhere, "connectorId": charger.connectors[0]});
    assert!(matches!(world.start(&driver, nowhere).await, Err(Failure::NotFound(_))));

    // A session that runs there is the vendor's to end, whoever asks; over, it is answered as it is.
    for status in ["STARTING", "IN_PROGRESS", "STOPPING"] {
        let id = session_at(&world, &driver, alone, status).await;
        for role in [Role::Driver, Role::Operator] {
            assert_eq!(code(end(&world, &driver, role, id).await), "STATION_NOT_CONTROLLED", "{status}");
        }
        let other = world.driver(status).await;
        assert!(matches!(end(&world, &other, Role::Driver, id).await, Err(Failure::NotFound("session"))));
        // No charger is asked for it, and time does not make it fail.
        assert!(world.registry.commanded(id, world.now).await.unwrap().is_none());
        for status in [Status::Starting, Status::Stopping] {
            let wish = Wish::Session(SessionUpdated { session_id: id, status });
            command(world.desk(), event("SESSION_UPDATED", world.now, wish), world.now).await.unwrap();
        }
        assert!(world.memory.posted.borrow().is_empty());
        let expired = world.registry.expire(world.now).await.unwrap();
        assert_eq!((expired.failed, expired.settled, expired.asked_again), (0, 0, 0), "{status}");
        assert_eq!(world.get(&driver, id).await.status.name(), status);
        world.run(&format!("DELETE FROM open_sessions WHERE session_id = '{id}'")).await;
    }
    let over = session_at(&world, &driver, alone, "COMPLETED").await;
    assert_eq!(end(&world, &driver, Role::Driver, over).await.unwrap().status, Status::Completed);

    // The other one, at a charger of ours, does.
    world.now += TimeDelta::minutes(4);
    assert_eq!(world.registry.expire(world.now).await.unwrap().failed, 1);
}

#[tokio::test]
async fn an_operator_corrects_a_session_there_and_its_events_name_no_charger() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let connector = world.vendor_connector(charger.station).await;
    let id = session_at(&world, &driver, connector, "IN_PROGRESS").await;
    let energy = json!({"id": id, "energyKWh": "7.5", "reason": "told by telephone"});
    world.correct(&driver, energy).await.unwrap();
    let end = json!({"id": id, "endTime": "2026-02-21T11:00:00Z", "reason": "told by telephone"});
    assert_eq!(world.correct(&driver, end).await.unwrap().status, Status::Completed);
    for event_type in ["SESSION_UPDATED", "SESSION_ENDED"] {
        let told = world.events(event_type).await.remove(0);
        assert_eq!(told["chargerId"], Value::Null);
        schema(event_type).validate(&told).unwrap();
    }
    // Whether all was told is for who tells of it to say.
    let incomplete = format!("session_is_incomplete('{id}')");
    assert_eq!(world.one(&incomplete).await, true);
    for (change, expected) in [
        ("start_kwh = 7", true),
        ("ended_at = now(), end_inferred = true", true),
        ("end_kwh = 7.5, end_inferred = false", false),
    ] {
        world
            .run(&format!(
                "INSERT INTO vendor_sessions (vendor_id, vendor_session_id, session_id, created_at, updated_at)
                 SELECT id, 's', '{id}', now(), now() FROM vendors ON CONFLICT DO NOTHING;
                 UPDATE vendor_sessions SET {change}"
            ))
            .await;
        assert_eq!(world.one(&incomplete).await, expected, "{change}");
    }
}

/// The events of one report of a status.
async fn report(world: &World, connector: Uuid, status: &str, at: &str) -> Vec<Value> {
    let told = world
        .one(&format!(
            "set_connector_status('{connector}', '{status}', NULL, '{at}', gen_random_uuid(), '{at}')"
        ))
        .await;
    serde_json::from_value(told).unwrap()
}

#[tokio::test]
async fn an_overtaken_report_of_a_status_changes_nothing_whoever_tells_it() {
    let world = World::new().await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let vendors = world.vendor_connector(charger.station).await;
    for connector in [charger.connectors[0], vendors] {
        let told = report(&world, connector, "CHARGING", "2026-02-21T12:00:20Z").await;
        schema("CONNECTOR_STATUS_CHANGED").validate(&told[0]).unwrap();
        assert_eq!(told[0]["chargerId"].is_null(), connector == vendors);
        assert!(report(&world, connector, "AVAILABLE", "2026-02-21T12:00:10Z").await.is_empty());
        let now = world
            .one(&format!(
                "SELECT jsonb_build_array(status, status_at = '2026-02-21T12:00:20Z') FROM connectors
                 WHERE id = '{connector}'"
            ))
            .await;
        assert_eq!(now, json!(["CHARGING", true]));
        // Told again, it is no news; of one moment the later word counts; a vendor knows no more than occupied.
        assert!(report(&world, connector, "CHARGING", "2026-02-21T12:00:20Z").await.is_empty());
        assert!(report(&world, connector, "OCCUPIED", "2026-02-21T12:00:30Z").await.is_empty());
        assert_eq!(report(&world, connector, "FAULTED", "2026-02-21T12:00:30Z").await.len(), 1);
    }
}

#[tokio::test]
async fn a_charger_that_falls_silent_leaves_its_last_word_with_its_time() {
    let mut world = World::new().await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let status = json!({"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": "2026-02-21T12:00:00Z"});
    world.call(&charger, "StatusNotification", status).await;
    let known = "SELECT jsonb_build_array(status, status_at, updated_at) FROM connectors";
    let before = world.one(known).await;
    let socket = &charger.connection.id;
    world.registry.disconnected(charger.connection.charger, socket, world.now).await.unwrap();
    world.now += TimeDelta::hours(3);
    world.registry.expire(world.now).await.unwrap();
    assert_eq!(world.events("CHARGER_DISCONNECTED").await.len(), 1);
    assert_eq!(world.one(known).await, before);
    assert_eq!(world.events("CONNECTOR_STATUS_CHANGED").await.len(), 1);
    // A report from before, told when it is back, changes it by its own time.
    world.registry.connected(charger.connection.charger, socket, Protocol::Ocpp16, world.now).await.unwrap();
    for (status, at, expected) in
        [("Faulted", "2026-02-21T11:59:00Z", "AVAILABLE"), ("Charging", "2026-02-21T12:30:00Z", "CHARGING")]
    {
        let told = json!({"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": at});
        world.call(&charger, "StatusNotification", told).await;
        assert_eq!(world.one("SELECT status FROM connectors").await, expected);
    }
}
