//! OCPP through the front door: admission, the answers to right and wrong frames, reconnects. The numbers are
//! the acceptance list's (`functions/charger/tests/` has those that need no socket). Runs under `local run`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use serde_json::{Value, json};
use tests::accounts::Account;
use tests::journey::{self, CHARGER_PASSWORD, Site};
use tests::ocpp_socket::OcppSocket;
use tests::stack::Stack;
use tests::wait;

async fn site() -> (Stack, Site) {
    let stack = Stack::running().unwrap();
    journey::mirror(&stack, &mut |_| ()).await.unwrap();
    let operator = Account::operator(&stack).await.unwrap();
    let site = journey::site(&stack, &operator, &mut |_| ()).await.unwrap();
    (stack, site)
}

fn boot() -> Value {
    json!({ "chargePointVendor": "Test", "chargePointModel": "One" })
}

async fn booted(stack: &Stack, site: &Site) -> OcppSocket {
    let mut charger = OcppSocket::connect(stack, &site.charge_point, "ocpp1.6").await.unwrap();
    assert_eq!(charger.call("BootNotification", boot()).await.unwrap()["status"], "Accepted");
    charger
}

#[tokio::test]
async fn checklist_16_of_two_subprotocols_exactly_the_newer_is_echoed() {
    let (stack, site) = site().await;
    let charger = OcppSocket::connect(&stack, &site.charge_point, "ocpp1.6, ocpp2.0.1").await.unwrap();
    assert_eq!(charger.protocol, "ocpp2.0.1");
}

#[tokio::test]
async fn checklist_17_to_19_who_is_not_admitted() {
    let (stack, site) = site().await;
    let id = &site.charge_point;
    let right = format!("{id}:{CHARGER_PASSWORD}");
    let cases = [
        (id.as_str(), right.as_str(), "ocpp9.9", 400),
        (id, &right, "", 400),
        ("CP-NOBODY", "CP-NOBODY:a-charger-password", "ocpp1.6", 404),
        (id, "", "ocpp1.6", 401),
        (id, &format!("{id}:wrong-password-here"), "ocpp1.6", 401),
        (id, &format!("CP-OTHER:{CHARGER_PASSWORD}"), "ocpp1.6", 401),
    ];
    for (id, credentials, protocols, status) in cases {
        let refused = OcppSocket::refusal(&stack, id, credentials, protocols).await.unwrap();
        assert_eq!(refused, status, "{id} {credentials} {protocols}");
    }
}

#[tokio::test]
async fn checklist_1_to_12_frames_right_and_wrong_over_1_6() {
    let (stack, site) = site().await;
    let mut charger = booted(&stack, &site).await;
    let heartbeat = charger.call("Heartbeat", json!({})).await.unwrap();
    assert!(heartbeat["currentTime"].as_str().unwrap().ends_with('Z'));
    let cases = [
        (json!([2, "a", "Fly", {}]), "NotImplemented"),
        (
            json!([2, "b", "StatusNotification", { "connectorId": "one", "errorCode": "NoError", "status": "Available" }]),
            "TypeConstraintViolation",
        ),
        (
            json!([2, "c", "StatusNotification", { "connectorId": 1, "errorCode": "NoError", "status": "Sleepy" }]),
            "PropertyConstraintViolation",
        ),
        (
            json!([2, "d", "StatusNotification", { "connectorId": 1, "status": "Available" }]),
            "OccurenceConstraintViolation",
        ),
        (json!([2, "e", "Authorize", { "idTag": "x".repeat(21) }]), "PropertyConstraintViolation"),
    ];
    for (call, code) in cases {
        charger.send(&call.to_string()).await.unwrap();
        let answer = charger.frame().await.unwrap();
        assert_eq!(json!([answer[0], answer[1], answer[2]]), json!([4, call[1], code]), "{answer}");
        assert_eq!(answer[4], json!({}), "{answer}");
        assert!(answer[3].as_str().unwrap().len() <= 255);
    }
    for ignored in ["not json", "{}", "[9,\"x\",\"y\"]", "[3,\"nobody-asked\",{}]"] {
        charger.send(ignored).await.unwrap();
    }
    assert!(charger.call("Heartbeat", json!({})).await.unwrap()["currentTime"].is_string());
}

#[tokio::test]
async fn checklist_8_unparseable_text_in_2_0_1_keeps_the_socket() {
    let (stack, site) = site().await;
    let mut charger = OcppSocket::connect(&stack, &site.charge_point, "ocpp2.0.1").await.unwrap();
    let station = json!({ "reason": "PowerUp", "chargingStation": { "model": "One", "vendorName": "Test" } });
    assert_eq!(charger.call("BootNotification", station).await.unwrap()["status"], "Accepted");
    charger.send("not json").await.unwrap();
    let answer = charger.frame().await.unwrap();
    assert_eq!(json!([answer[0], answer[1], answer[2]]), json!([4, "-1", "RpcFrameworkError"]));
    assert!(charger.call("Heartbeat", json!({})).await.unwrap()["currentTime"].is_string());
}

#[tokio::test]
async fn checklist_15_a_repeated_message_gets_the_same_answer() {
    let (stack, site) = site().await;
    let mut charger = booted(&stack, &site).await;
    let start =
        json!({ "connectorId": 1, "idTag": "NOBODY", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z" });
    let call = json!([2, "same-id", "StartTransaction", start]).to_string();
    charger.send(&call).await.unwrap();
    let first = charger.frame().await.unwrap();
    charger.send(&call).await.unwrap();
    assert_eq!(charger.frame().await.unwrap(), first);
    assert_eq!(first[2]["idTagInfo"]["status"], "Invalid");
}

#[tokio::test]
async fn checklist_21_a_new_socket_replaces_the_old_one() {
    let (stack, site) = site().await;
    let mut old = booted(&stack, &site).await;
    let mut new = booted(&stack, &site).await;
    let status = json!({ "connectorId": 1, "errorCode": "NoError", "status": "Available" });
    new.call("StatusNotification", status).await.unwrap();
    drop(old.close_code().await);
    // The old socket's late $disconnect must leave the charger online: a session can still be asked of it.
    let driver = Account::driver(&stack, "Second Socket").await.unwrap();
    let start = "mutation($input: StartSessionInput!) { startSession(input: $input) { id status } }";
    let input = json!({ "input": { "stationId": site.station, "connectorId": site.connector } });
    let session: Value = driver.client.field(start, input).await.unwrap();
    assert_eq!(session["status"], "STARTING");
    assert!(new.accept_call("RemoteStartTransaction").await.unwrap()["idTag"].is_string());
}

#[tokio::test]
async fn checklist_44_an_oversized_message_closes_with_1009_and_the_charger_comes_back() {
    let (stack, site) = site().await;
    let mut charger = booted(&stack, &site).await;
    let huge =
        json!([2, "huge", "DataTransfer", { "vendorId": "x", "data": "x".repeat(200 * 1024) }]).to_string();
    // The other side may close while we still write.
    drop(charger.send(&huge).await);
    assert_eq!(charger.close_code().await.unwrap_or(1009), 1009);
    booted(&stack, &site).await;
}

#[tokio::test]
async fn a_charger_that_is_gone_is_refused_with_a_code() {
    let (stack, site) = site().await;
    drop(booted(&stack, &site).await);
    let driver = Account::driver(&stack, "Too Late").await.unwrap();
    let start = "mutation($input: StartSessionInput!) { startSession(input: $input) { id } }";
    let input = json!({ "input": { "stationId": site.station, "connectorId": site.connector } });
    wait::until("CHARGER_OFFLINE", Duration::from_secs(10), async || {
        let offline = "SELECT count(*) FROM outbox WHERE event_type = 'CHARGER_DISCONNECTED' AND payload->>'chargePointId' = ";
        let gone = stack.count(&format!("{offline}'{}'", site.charge_point)).await?;
        Ok((gone > 0).then_some(()))
    })
    .await
    .unwrap();
    let error = driver.client.error(start, input).await.unwrap();
    assert_eq!(error.error_info["code"], "CHARGER_OFFLINE", "{error:?}");
}
