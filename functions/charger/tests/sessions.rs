//! A session's life between an app and a charger, against a real database.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{Charger as Registered, Protocol, Records, register};
use chrono::TimeDelta;
use serde_json::{Value, json};
use session::{Session, Status};
use shared::{Failure, Role, User};
use support::{World, at};

fn conflict(result: Result<Session, Failure>) -> &'static str {
    match result {
        Err(Failure::Conflict { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

fn start(tag: &str) -> Value {
    json!({"connectorId": 1, "idTag": tag, "meterStart": 100, "timestamp": "2026-02-21T12:00:05Z"})
}

#[tokio::test]
async fn a_session_goes_from_the_app_through_the_charger_to_its_end() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 2).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    assert_eq!(session.status, Status::Starting);
    assert_eq!(session.connector_id.uuid(), charger.connectors[0]);
    let asked = world.registry.commanded(session.id, world.now).await.unwrap().unwrap();
    assert_eq!((asked.status, asked.online, asked.connector_number), (Status::Starting, true, 1));
    assert_eq!(asked.protocol, Some(Protocol::Ocpp16));

    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    let running = world.get(&driver, session.id).await;
    assert_eq!((running.status, running.start_time), (Status::InProgress, Some(at("2026-02-21T12:00:05Z"))));

    assert_eq!(world.end(&driver, session.id).await.status, Status::Stopping);
    assert_eq!(world.end(&driver, session.id).await.status, Status::Stopping);
    let asked = world.registry.commanded(session.id, world.now).await.unwrap().unwrap();
    assert_eq!(asked.transaction_id, Some(id.to_string()));
    let stop = json!({"transactionId": id, "meterStop": 5100, "timestamp": "2026-02-21T12:03:00Z", "reason": "Remote"});
    world.call(&charger, "StopTransaction", stop).await;
    let ended = world.end(&driver, session.id).await;
    assert_eq!((ended.status, ended.energy.0.to_string().as_str()), (Status::Completed, "5"));

    let told: Vec<Value> = ["SESSION_UPDATED", "SESSION_STARTED", "SESSION_ENDED"].map(Value::from).to_vec();
    let mut seen = Vec::new();
    for event_type in &told {
        for event in world.events(event_type.as_str().unwrap()).await {
            let schema = format!(
                "{}/../../events/schemas/{}.json",
                env!("CARGO_MANIFEST_DIR"),
                event_type.as_str().unwrap()
            );
            let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
            jsonschema::validator_for(&schema).unwrap().validate(&event).unwrap();
            assert_eq!(event["correlationId"], world.events("SESSION_UPDATED").await[0]["correlationId"]);
            seen.push(event["status"].clone());
        }
    }
    assert_eq!(seen, ["STARTING", "STOPPING", "IN_PROGRESS", "COMPLETED"]);
    assert_eq!(world.one("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, 0);
}

#[tokio::test]
async fn a_201_session_is_known_by_the_request_it_answers() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp201, 1).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    let asked = world.registry.commanded(session.id, world.now).await.unwrap().unwrap();
    let begun = json!({
        "eventType": "Started", "timestamp": "2026-02-21T12:00:05Z", "triggerReason": "RemoteStart", "seqNo": 0,
        "transactionInfo": {"transactionId": "t-1", "remoteStartId": asked.remote_start_id}, "evse": {"id": 1},
    });
    assert_eq!(world.call(&charger, "TransactionEvent", begun).await, json!({}));
    assert_eq!(world.get(&driver, session.id).await.status, Status::InProgress);
}

#[tokio::test]
async fn refusals_say_why() {
    let mut world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let here = json!({"stationId": charger.station});

    let nowhere = json!({"stationId": "0198c0de-0000-7000-8000-000000000003"});
    assert!(matches!(world.start(&driver, nowhere.clone()).await, Err(Failure::NotFound("station"))));
    let elsewhere =
        json!({"stationId": charger.station, "connectorId": "0198c0de-0000-7000-8000-000000000003"});
    assert!(matches!(world.start(&driver, elsewhere).await, Err(Failure::NotFound(_))));
    world
        .run(
            "INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
             VALUES ('0198c0de-0000-7000-8000-000000000003', 'mirrored', 0, 0, 'OPERATIONAL', now())",
        )
        .await;
    assert_eq!(conflict(world.start(&driver, nowhere).await), "STATION_NOT_CONTROLLED");

    world.run("UPDATE connectors SET status = 'FAULTED'").await;
    assert_eq!(conflict(world.start(&driver, here.clone()).await), "CONNECTOR_UNAVAILABLE");
    world.run("UPDATE connectors SET status = 'AVAILABLE'").await;
    world.start(&other, here.clone()).await.unwrap();
    assert_eq!(conflict(world.start(&driver, here.clone()).await), "CONNECTOR_BUSY");

    let offline = world.charger("CP-2", Protocol::Ocpp16, 1).await;
    let there = json!({"stationId": offline.station});
    world.registry.disconnected(offline.connection.charger, "another", world.now).await.unwrap();
    world.now += TimeDelta::hours(3);
    // A socket of three hours ago is dead, whatever we were told.
    assert_eq!(conflict(world.start(&driver, there.clone()).await), "CHARGER_OFFLINE");
    world.registry.connected(offline.connection.charger, "new", Protocol::Ocpp16, world.now).await.unwrap();
    world.registry.disconnected(offline.connection.charger, "new", world.now).await.unwrap();
    assert_eq!(conflict(world.start(&driver, there).await), "CHARGER_OFFLINE");
    assert_eq!(world.events("CHARGER_DISCONNECTED").await.len(), 1);
}

#[tokio::test]
async fn a_driver_has_three_sessions_at_most_and_a_key_one() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 4).await;
    let keyed = json!({"stationId": charger.station, "idempotencyKey": "k"});
    let first = world.start(&driver, keyed.clone()).await.unwrap();
    assert_eq!(world.start(&driver, keyed).await.unwrap(), first);
    let reused =
        json!({"stationId": charger.station, "connectorId": charger.connectors[3], "idempotencyKey": "k"});
    assert_eq!(conflict(world.start(&driver, reused).await), "IDEMPOTENCY_KEY_REUSED");
    for _ in 0..2 {
        world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    }
    assert_eq!(
        conflict(world.start(&driver, json!({"stationId": charger.station})).await),
        "TOO_MANY_SESSIONS"
    );
    assert_eq!(world.events("SESSION_UPDATED").await.len(), 3);
}

#[tokio::test]
async fn drivers_who_race_for_a_connector_do_not_share_it() {
    let world = World::new().await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 2).await;
    let mut drivers = Vec::new();
    for number in 0..6 {
        drivers.push(world.driver(&format!("DRIVER{number}")).await);
    }
    let input = json!({"stationId": charger.station});
    let started = async |number: usize| world.start(&drivers[number], input.clone()).await;
    let (a, b, c, d, e, f) =
        tokio::join!(started(0), started(1), started(2), started(3), started(4), started(5));
    let results = [a, b, c, d, e, f];
    let mut connectors: Vec<_> =
        results.iter().flatten().map(|session| session.connector_id.uuid()).collect();
    connectors.sort();
    assert_eq!(connectors, charger.connectors);
    assert!(results.into_iter().filter(Result::is_err).all(|it| conflict(it) == "CONNECTOR_BUSY"));
}

#[tokio::test]
async fn somebody_else_s_session_is_as_good_as_none() {
    let world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let id = world.start(&driver, json!({"stationId": charger.station})).await.unwrap().id;
    let ended = session::end(
        &world.sessions,
        world.caller(&other),
        serde_json::from_value(json!({"id": id})).unwrap(),
    );
    assert!(matches!(ended.await, Err(Failure::NotFound("session"))));
    let watch = |caller| async {
        let request = serde_json::from_value(json!({"sessionId": id})).unwrap();
        session::watch(&world.sessions, caller, request).await
    };
    assert!(matches!(watch(world.caller(&other)).await, Err(Failure::NotFound("session"))));
    assert!(watch(world.caller(&driver)).await.is_ok());
    let mut operator = world.caller(&other);
    operator.user = operator.user.map(|user| User { roles: vec![Role::Operator], ..user });
    assert!(watch(operator).await.is_ok());
    assert!(world.of(&other).await.is_empty());
}

#[tokio::test]
async fn a_session_cancelled_before_the_charger_begins_is_not_begun_by_it() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    let ended = world.end(&driver, session.id).await;
    assert_eq!((ended.status, ended.reason.as_deref()), (Status::Cancelled, Some("DRIVER")));
    let answer = world.call(&charger, "StartTransaction", start("DRIVER")).await;
    assert_eq!(answer["idTagInfo"]["status"], "Invalid");
    assert_eq!(world.of(&driver).await.len(), 1);
    // The connector is free again.
    world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
}

#[tokio::test]
async fn a_session_that_the_charger_never_begins_fails_and_frees_the_connector() {
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    world.now += TimeDelta::seconds(170);
    assert_eq!(world.registry.expire(world.now).await.unwrap().failed, 0);
    world.now += TimeDelta::seconds(11);
    assert_eq!(world.registry.expire(world.now).await.unwrap().failed, 1);
    let failed = world.get(&driver, session.id).await;
    assert_eq!((failed.status, failed.reason.as_deref()), (Status::Failed, Some("CHARGER_DID_NOT_START")));
    assert_eq!(world.one("SELECT count(*) FROM open_sessions").await, 0);
    // A refusal that comes now changes nothing.
    world.registry.fail(session.id, "REMOTE_START_REJECTED", world.now).await.unwrap();
    assert_eq!(world.events("SESSION_UPDATED").await.len(), 2);
}

#[tokio::test]
async fn a_stop_that_is_not_obeyed_is_asked_for_again() {
    let mut world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    world.call(&charger, "StartTransaction", start("DRIVER")).await;
    world.end(&driver, session.id).await;
    world.now += TimeDelta::seconds(91);
    assert_eq!(world.registry.expire(world.now).await.unwrap().asked_again, 1);
    assert_eq!(world.registry.expire(world.now).await.unwrap().asked_again, 0);
    let told: Vec<_> =
        world.events("SESSION_UPDATED").await.iter().map(|event| event["status"].clone()).collect();
    assert_eq!(told, ["STARTING", "STOPPING", "STOPPING"]);
}

#[tokio::test]
async fn a_charger_that_begins_anew_without_a_stop_settles_the_old_session_in_time() {
    let mut world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let id = world.call(&charger, "StartTransaction", start("DRIVER")).await["transactionId"].clone();
    let sample = json!({"value": "3100"});
    let meter = json!({"connectorId": 1, "transactionId": id, "meterValue": [{"timestamp": "2026-02-21T12:01:05Z", "sampledValue": [sample]}]});
    world.call(&charger, "MeterValues", meter).await;
    let answer = world.call(&charger, "StartTransaction", start("OTHER")).await;
    assert_eq!(answer["idTagInfo"]["status"], "Accepted");
    assert_eq!(world.of(&driver).await[0].status, Status::InProgress);
    assert_eq!(world.of(&other).await[0].status, Status::InProgress);

    world.now += TimeDelta::minutes(16);
    assert_eq!(world.registry.expire(world.now).await.unwrap().settled, 1);
    let ended = world.events("SESSION_ENDED").await.remove(0);
    assert_eq!((&ended["energyKwh"], &ended["incomplete"]), (&json!(3), &json!(true)));
    assert_eq!(ended["reason"], "NO_STOP_REPORTED");
    assert_eq!(world.of(&other).await[0].status, Status::InProgress);
}

#[tokio::test]
async fn a_session_that_waits_gives_way_to_the_car_that_is_there() {
    let world = World::new().await;
    let (driver, other) = (world.driver("DRIVER").await, world.driver("OTHER").await);
    let charger = world.charger("CP-1", Protocol::Ocpp16, 1).await;
    let session = world.start(&driver, json!({"stationId": charger.station})).await.unwrap();
    world.call(&charger, "StartTransaction", start("OTHER")).await;
    let failed = world.get(&driver, session.id).await;
    assert_eq!((failed.status, failed.reason.as_deref()), (Status::Failed, Some("CONNECTOR_TAKEN")));
    assert_eq!(world.of(&other).await[0].status, Status::InProgress);
}

#[tokio::test]
async fn an_operator_registers_a_charger_and_nobody_else_does() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let station = world.charger("CP-1", Protocol::Ocpp16, 1).await.station;
    let registering = async |identity: &str, role: Role| -> Result<Registered, Failure> {
        let mut caller = world.caller(&driver);
        caller.user = caller.user.map(|user| User { roles: vec![role], ..user });
        let request = json!({"input": {
            "stationId": station, "chargePointId": identity, "password": "0123456789abcdef",
            "connectors": [{"number": 2, "type": "Type 2", "powerKW": 22}, {"number": 1, "type": "CCS (Type 2)", "powerKW": 150.5}],
        }});
        register(&world.registry, caller, serde_json::from_value(request).unwrap()).await
    };
    assert!(matches!(registering("CP-9", Role::Driver).await, Err(Failure::Forbidden(_))));
    let charger = serde_json::to_value(registering("CP-9", Role::Operator).await.unwrap()).unwrap();
    assert_eq!(charger["connectors"][0]["connectorNumber"], "1");
    assert_eq!(charger["connectors"][0]["powerKW"], 150.5);
    assert_eq!(charger["connectors"][1]["status"], "UNKNOWN");
    assert!(matches!(
        registering("CP-9", Role::Operator).await,
        Err(Failure::Conflict { code: "CHARGE_POINT_ID_TAKEN", .. })
    ));
    assert_eq!(world.one("SELECT count(*) FROM audit_log WHERE action = 'CHARGER_REGISTERED'").await, 1);
    let hash = world.one("SELECT password_hash FROM chargers WHERE charge_point_id = 'CP-9'").await;
    assert!(charger::verify(b"0123456789abcdef", hash.as_str()));
}

#[tokio::test]
async fn an_expiry_of_many_is_told_in_rows_that_the_data_api_takes() {
    let world = World::new().await;
    let driver = world.driver("DRIVER").await;
    let charger = world.charger("CP-1", Protocol::Ocpp16, 60).await;
    world
        .run(&format!(
            "INSERT INTO sessions (id, user_id, station_id, connector_id, status, remote_start_id, correlation_id,
                                   created_at, updated_at)
             SELECT gen_random_uuid(), '{driver}', station_id, id, 'STARTING', 1, gen_random_uuid(), '2026-02-20',
                    '2026-02-20'
             FROM connectors;
             INSERT INTO open_sessions SELECT connector_id, id, user_id FROM sessions;
             INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at, connection_id,
                                   connected_at)
             SELECT gen_random_uuid(), 'DEAD-' || number, '{station}', '-', '2025-01-01', 'socket-' || number,
                    '2026-02-20'
             FROM generate_series(1, 500) AS number",
            driver = driver.id,
            station = charger.station,
        ))
        .await;
    let first = world.registry.expire(world.now).await.unwrap();
    assert_eq!((first.failed, first.disconnected), (60, 340));
    let second = world.registry.expire(world.now).await.unwrap();
    assert_eq!((second.failed, second.disconnected), (0, 160));
    assert_eq!(world.one("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, 0);
}
