//! What an operator says of a session: it stands whatever is told later, is on record, and never touches a bill.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::Protocol;
use chrono::TimeDelta;
use serde_json::{Value, json};
use session::{Session, Status};
use shared::{Failure, Role, SessionId};
use support::{Charger, Driver, World, at, permutations};

const START_AT: &str = "2026-02-21T11:00:00Z";
const STOP_AT: &str = "2026-02-21T11:58:00Z";

fn report(kind: &str, seq: i32, at: &str, wh: i32) -> Value {
    let mut report = json!({
        "eventType": kind, "timestamp": at, "triggerReason": "Trigger", "seqNo": seq,
        "transactionInfo": {"transactionId": "t-1"}, "evse": {"id": 1},
        "meterValue": [{"timestamp": at, "sampledValue": [{"value": wh}]}],
    });
    if kind == "Started" {
        report["idToken"] = json!({"idToken": "DRIVER", "type": "ISO14443"});
    }
    report
}

fn reports() -> [Value; 4] {
    [
        report("Started", 0, START_AT, 1000),
        report("Updated", 1, "2026-02-21T11:20:00Z", 9000),
        report("Updated", 2, "2026-02-21T11:40:00Z", 15000),
        report("Ended", 3, STOP_AT, 23400),
    ]
}

fn code(result: Result<Session, Failure>) -> &'static str {
    match result {
        Err(Failure::Conflict { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

fn invalid(result: Result<Session, Failure>) -> String {
    match result {
        Err(Failure::Invalid { field, .. }) => field.into_owned(),
        other => panic!("{other:?}"),
    }
}

/// A session that charges at a charger of its own; it has had two of the four reports.
async fn charging(world: &World, name: &str) -> (Charger, Driver, Session) {
    let driver = world.driver("DRIVER").await;
    let charger = world.charger(name, Protocol::Ocpp201, 1).await;
    for report in &reports()[..2] {
        world.call(&charger, "TransactionEvent", report.clone()).await;
    }
    let session = world.of(&driver).await.remove(0);
    assert_eq!((session.status, session.energy.0), (Status::InProgress, "8".parse().unwrap()));
    (charger, driver, session)
}

async fn invoice(world: &World, session: SessionId) {
    world.run(&invoiced(session)).await;
}

fn invoiced(session: SessionId) -> String {
    format!(
        "INSERT INTO invoices (id, number, kind, user_id, session_id, amount, net, vat, vat_rate, currency, due_date,
                               status, created_at, lines)
         SELECT gen_random_uuid(), 'T-1', 'SESSION', user_id, id, 0, 0, 0, 0.19, 'EUR', '2026-03-01', 'PENDING', now(),
                '[]'
         FROM sessions WHERE id = '{session}'"
    )
}

#[tokio::test]
async fn only_an_operator_says_how_much_has_flowed() {
    let world = World::new().await;
    let (_, driver, session) = charging(&world, "CP-1").await;
    for role in [Role::Driver, Role::Vendor] {
        let input = json!({"input": {"id": session.id, "energyKWh": "1", "reason": "r"}});
        let request = serde_json::from_value(input).unwrap();
        let refused = session::update(&world.sessions, world.caller_as(&driver, role), request).await;
        assert!(matches!(refused, Err(Failure::Forbidden(_))));
    }
    // What a driver may send takes no energy, and what is sent all the same is not looked at.
    let sneaked = json!({"id": session.id, "energyKWh": "1", "endTime": START_AT});
    let request = serde_json::from_value(sneaked).unwrap();
    let ended = session::end(&world.sessions, world.caller(&driver), request).await.unwrap();
    assert_eq!((ended.status, ended.energy), (Status::Stopping, session.energy));
    let there = world.charger("CP-2", Protocol::Ocpp201, 1).await.station;
    let sneaked = json!({"stationId": there, "energyKWh": "1", "energyKwh": 1});
    assert!(world.start(&driver, sneaked).await.unwrap().energy.0.is_zero());

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../graphql");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let inputs = files.filter(|path| path.extension().is_some_and(|it| it == "graphql")).flat_map(|path| {
        let text = std::fs::read_to_string(path).unwrap();
        let inputs = text.split("\ninput ").skip(1).map(|input| input.split('}').next().unwrap().to_owned());
        inputs.collect::<Vec<_>>()
    });
    let mut with_energy: Vec<_> = inputs
        .filter(|input| input.to_lowercase().contains("kwh:") || input.to_lowercase().contains("meter"))
        .map(|input| input.split([' ', '{']).next().unwrap().to_owned())
        .filter(|name| {
            // What a charge would cost, what a plan covers, and what the bus tells change no session.
            !["EstimateCostInput", "CreatePlanInput", "SessionStatusInput"].contains(&name.as_str())
                && !name.contains("Tariff")
        })
        .collect();
    with_energy.sort();
    assert_eq!(with_energy, ["UpdateSessionInput"]);
}

#[tokio::test]
async fn a_correction_stands_wherever_it_comes_among_the_reports() {
    let mut world = World::new().await;
    let operator = world.driver("OPERATOR").await;
    world.driver("DRIVER").await;
    let reports = reports();
    let mut number = 0;
    for order in permutations(&[0, 1, 2, 3]) {
        for place in 0..4 {
            number += 1;
            world.now += TimeDelta::seconds(1);
            let charger = world.charger(&format!("CP-{number}"), Protocol::Ocpp201, 1).await;
            let mut is_corrected = false;
            for (step, report) in order.iter().enumerate() {
                world.call(&charger, "TransactionEvent", reports[*report].clone()).await;
                let begun = format!(
                    "coalesce((SELECT to_jsonb(id) FROM sessions WHERE connector_id = '{}'), 'null')",
                    charger.connectors[0]
                );
                let session = world.one(&begun).await;
                if step >= place && !is_corrected && !session.is_null() {
                    let input = json!({"id": session, "energyKWh": "12.3456", "reason": "read off"});
                    world.correct(&operator, input).await.unwrap();
                    is_corrected = true;
                }
            }
            assert!(is_corrected);
        }
    }
    let ends = "SELECT jsonb_agg(DISTINCT jsonb_build_array(status, start_time, end_time, energy_kwh, reason)) FROM sessions
                WHERE energy_corrected";
    let expected =
        json!([["COMPLETED", "2026-02-21T11:00:00+00:00", "2026-02-21T11:58:00+00:00", 12.3456, null,]]);
    assert_eq!(world.one(ends).await, expected);
    assert_eq!(world.one("SELECT count(*) FROM sessions").await, number);
    // The last word on each is the corrected one.
    let last = "SELECT jsonb_agg(DISTINCT payload -> 'energyKwh') FROM (
                    SELECT DISTINCT ON (payload ->> 'sessionId') payload FROM outbox
                    WHERE event_type = 'SESSION_ENDED' ORDER BY payload ->> 'sessionId', payload ->> 'updatedAt' DESC
                ) AS told";
    assert_eq!(world.one(last).await, json!([12.3456]));
}

#[tokio::test]
async fn a_silent_charger_s_session_is_ended_by_hand_once_and_for_all() {
    let mut world = World::new().await;
    let (charger, driver, session) = charging(&world, "CP-1").await;
    world.now = at("2026-02-21T13:00:00Z");
    let end = json!({"id": session.id, "endTime": "2026-02-21T11:30:00Z", "energyKWh": "10.5", "reason": "burnt down"});
    let ended = world.correct(&driver, end.clone()).await.unwrap();
    assert_eq!((ended.status, ended.energy.0), (Status::Completed, "10.5".parse().unwrap()));
    assert_eq!(ended.end_time, Some(at("2026-02-21T11:30:00Z")));
    assert_eq!(world.one("SELECT count(*) FROM open_sessions").await, 0);
    // The same again is no other correction.
    assert_eq!(world.correct(&driver, end).await.unwrap(), ended);
    let told = world.events("SESSION_ENDED").await;
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["incomplete"], &told[0]["corrected"]), (&json!(true), &json!(true)));
    assert_eq!((&told[0]["durationMinutes"], &told[0]["reason"]), (&json!(30), &json!("OPERATOR")));
    let schema: Value =
        serde_json::from_str(include_str!("../../../events/schemas/SESSION_ENDED.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap().validate(&told[0]).unwrap();
    assert_eq!(
        world.one("SELECT jsonb_agg(jsonb_build_array(action, subject, reason)) FROM audit_log").await,
        json!([[
            "SESSION_CORRECTED",
            session.id,
            "8 -> 10.5 kWh, end none -> 2026-02-21T11:30:00.000Z: burnt down",
        ]])
    );

    // The charger comes back after all: what it tells is kept, and changes nothing.
    for report in &reports()[2..] {
        world.call(&charger, "TransactionEvent", report.clone()).await;
    }
    let after = world.get(&driver, session.id).await;
    assert_eq!(after, ended);
    assert_eq!(world.events("SESSION_ENDED").await.len(), 1);
    let kept = "SELECT jsonb_build_array(stopped_at, meter_high_wh, stop_inferred) FROM transactions";
    assert_eq!(world.one(kept).await, json!(["2026-02-21T11:58:00+00:00", 23400, false]));
    // No reading is billed that is after the end.
    let readings = world.one(&format!("SELECT session_readings('{}')", session.id)).await;
    assert_eq!(readings.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_named() {
    let world = World::new().await;
    let (charger, driver, session) = charging(&world, "CP-1").await;
    let correct = async |more: Value| {
        let mut input = json!({"id": session.id, "reason": "r"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.correct(&driver, input).await
    };
    assert_eq!(invalid(correct(json!({})).await), "input");
    assert_eq!(invalid(correct(json!({"endTime": "2026-02-21T10:59:59Z"})).await), "input.endTime");
    assert_eq!(invalid(correct(json!({"endTime": "2026-02-21T12:00:01Z"})).await), "input.endTime");
    let unknown = world.correct(&driver, json!({"id": SessionId::new(), "energyKWh": "1", "reason": "r"}));
    assert!(matches!(unknown.await, Err(Failure::NotFound("session"))));
    assert_eq!(world.get(&driver, session.id).await, session);

    let there = world.charger("CP-2", Protocol::Ocpp201, 1).await;
    let starting = world.start(&driver, json!({"stationId": there.station})).await.unwrap();
    let early = json!({"id": starting.id, "energyKWh": "1", "reason": "r"});
    assert_eq!(code(world.correct(&driver, early.clone()).await), "SESSION_NOT_BEGUN");
    world.end(&driver, starting.id).await;
    assert_eq!(code(world.correct(&driver, early).await), "SESSION_NOT_BEGUN");

    // One that is over may be corrected until it is billed; that is told as its end.
    for report in &reports()[2..] {
        world.call(&charger, "TransactionEvent", report.clone()).await;
    }
    assert_eq!(correct(json!({"energyKWh": "20"})).await.unwrap().status, Status::Completed);
    assert_eq!(world.events("SESSION_ENDED").await.len(), 2);
    invoice(&world, session.id).await;
    assert_eq!(code(correct(json!({"energyKWh": "19"})).await), "ALREADY_BILLED");
    assert_eq!(code(correct(json!({"endTime": "2026-02-21T11:30:00Z"})).await), "ALREADY_BILLED");
    // Its answer was lost, it is asked for again: nothing is to be done.
    assert_eq!(correct(json!({"energyKWh": "20"})).await.unwrap().energy.0, "20".parse().unwrap());
    assert_eq!(world.one("SELECT count(*) FROM audit_log").await, 1);
}

#[tokio::test]
async fn a_correction_that_races_a_bill_waits_for_it_and_is_refused() {
    let world = World::new().await;
    let (_, driver, session) = charging(&world, "CP-1").await;
    let mut biller = world.connect().await;
    let bill = biller.transaction().await.unwrap();
    let locked = format!("SELECT FROM sessions WHERE id = '{}' FOR NO KEY UPDATE", session.id);
    bill.batch_execute(&locked).await.unwrap();
    bill.batch_execute(&invoiced(session.id)).await.unwrap();
    let input = json!({"id": session.id, "energyKWh": "1", "reason": "r"});
    let (refused, ()) = tokio::join!(world.correct(&driver, input), async {
        // It waits: only then is the bill there.
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        while world.one(waiting).await == json!(0) {
            tokio::task::yield_now().await;
        }
        bill.commit().await.unwrap();
    });
    assert_eq!(code(refused), "ALREADY_BILLED");
    assert_eq!(world.get(&driver, session.id).await.energy, session.energy);
}
