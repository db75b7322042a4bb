//! Checklist 1 to 15, 22 to 24 and 43: what each message is answered with, and with which code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{Connection, Protocol, Registration};
use serde_json::{Value, json};
use support::{Line, at, code, connection, noon, result};

const BOTH: [Protocol; 2] = [Protocol::Ocpp16, Protocol::Ocpp201];

/// A message both protocols serve, its mandatory fields, and one of them to break.
fn boot(protocol: Protocol) -> (Value, &'static str) {
    match protocol {
        Protocol::Ocpp16 => {
            (json!({"chargePointVendor": "ACME", "chargePointModel": "One"}), "/chargePointVendor")
        }
        Protocol::Ocpp201 => (
            json!({"reason": "PowerUp", "chargingStation": {"vendorName": "ACME", "model": "One"}}),
            "/chargingStation/model",
        ),
    }
}

fn broken(protocol: Protocol, value: Value) -> Value {
    let (mut payload, field) = boot(protocol);
    *payload.pointer_mut(field).unwrap() = value;
    payload
}

#[tokio::test]
async fn checklist_01_a_call_is_answered_under_its_id() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        result(&line.call("id-1", "Heartbeat", json!({})).await, "id-1");
        code(&line.call("id-2", "Authorize", json!({})).await, "id-2");
    }
}

#[tokio::test]
async fn checklist_02_a_payload_that_is_no_object_has_the_code_of_its_version() {
    for (protocol, expected) in BOTH.into_iter().zip(["FormationViolation", "FormatViolation"]) {
        let line = Line::open(protocol).await;
        for payload in [json!([]), json!("text"), json!(null)] {
            assert_eq!(code(&line.call("1", "Heartbeat", payload).await, "1"), expected);
        }
    }
}

#[tokio::test]
async fn checklist_03_a_wrong_type_is_a_type_violation() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        let answer = line.call("1", "BootNotification", broken(protocol, json!(42))).await;
        assert_eq!(code(&answer, "1"), "TypeConstraintViolation");
    }
}

#[tokio::test]
async fn checklist_04_too_long_or_not_in_the_enumeration_is_a_property_violation() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        let answer = line.call("1", "BootNotification", broken(protocol, json!("x".repeat(300)))).await;
        assert_eq!(code(&answer, "1"), "PropertyConstraintViolation");
    }
    let line = Line::open(Protocol::Ocpp16).await;
    let status = json!({"connectorId": 1, "errorCode": "NoError", "status": "Dancing"});
    assert_eq!(code(&line.call("1", "StatusNotification", status).await, "1"), "PropertyConstraintViolation");
    let line = Line::open(Protocol::Ocpp201).await;
    let status = json!({"timestamp": "2026-02-21T12:00:00Z", "connectorStatus": "Charging", "evseId": 1, "connectorId": 1});
    assert_eq!(code(&line.call("1", "StatusNotification", status).await, "1"), "PropertyConstraintViolation");
}

#[tokio::test]
async fn a_character_that_no_table_can_hold_is_a_property_violation() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        for text in ["\0", "a\\\0b"] {
            let answer = line.call("1", "BootNotification", broken(protocol, json!(text))).await;
            assert_eq!(code(&answer, "1"), "PropertyConstraintViolation");
        }
        result(&line.call("2", "BootNotification", broken(protocol, json!("\\u0000"))).await, "2");
    }
}

#[tokio::test]
async fn checklist_05_a_missing_field_has_the_spelling_of_its_version() {
    for (protocol, expected) in
        BOTH.into_iter().zip(["OccurenceConstraintViolation", "OccurrenceConstraintViolation"])
    {
        let line = Line::open(protocol).await;
        assert_eq!(code(&line.call("1", "BootNotification", json!({})).await, "1"), expected);
    }
    // A list that must not be empty counts as a missing entry.
    let line = Line::open(Protocol::Ocpp201).await;
    let answer = line.call("1", "MeterValues", json!({"evseId": 1, "meterValue": []})).await;
    assert_eq!(code(&answer, "1"), "OccurrenceConstraintViolation");
}

#[tokio::test]
async fn checklist_06_unknown_and_unsupported_actions_are_told_apart() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        assert_eq!(code(&line.call("1", "MakeCoffee", json!({})).await, "1"), "NotImplemented");
        // Ours to call, not the charger's.
        assert_eq!(code(&line.call("2", "Reset", json!({})).await, "2"), "NotSupported");
    }
    let line = Line::open(Protocol::Ocpp201).await;
    assert_eq!(code(&line.call("3", "SignCertificate", json!({"csr": "x"})).await, "3"), "NotSupported");
    // A name of the other version is unknown here.
    assert_eq!(code(&line.call("4", "StartTransaction", json!({})).await, "4"), "NotImplemented");
}

#[tokio::test]
async fn checklist_07_an_unknown_message_type_is_ignored_by_one_and_refused_by_the_other() {
    for text in [r#"[9,"id-1","Heartbeat",{}]"#, r#"[6,"id-1","Heartbeat",{}]"#] {
        assert_eq!(Line::open(Protocol::Ocpp16).await.say(text).await, None);
        let answer = Line::open(Protocol::Ocpp201).await.say(text).await.unwrap();
        assert_eq!(code(&answer, "id-1"), "MessageTypeNotSupported");
    }
}

#[tokio::test]
async fn checklist_08_unparseable_text_is_answered_under_the_id_minus_one() {
    let line = Line::open(Protocol::Ocpp201).await;
    for text in
        ["", "hello", "{}", "[2,", "[]", r#"["2","x","Heartbeat",{}]"#, "[2]", r#"[2,7,"Heartbeat",{}]"#]
    {
        let answer = line.say(text).await.unwrap();
        // Where an id can be read, it is used.
        let id = if text.contains("\"x\"") { "x" } else { "-1" };
        assert_eq!(code(&answer, id), "RpcFrameworkError", "{text}");
    }
    // The socket stays open.
    result(&line.call("1", "Heartbeat", json!({})).await, "1");
    assert!(line.memory.hung_up.borrow().is_empty());
}

#[tokio::test]
async fn checklist_09_ocpp_16_never_hears_a_code_of_the_later_versions() {
    let line = Line::open(Protocol::Ocpp16).await;
    for text in ["", "hello", "{}", "[2,", "[]", "[2]", r#"[2,7,"Heartbeat",{}]"#] {
        assert_eq!(line.say(text).await, None, "{text}");
    }
    for text in [r#"[2,"id-1"]"#, r#"[2,"id-1","Heartbeat"]"#, r#"[2,"id-1",7,{}]"#] {
        assert_eq!(code(&line.say(text).await.unwrap(), "id-1"), "FormationViolation", "{text}");
    }
}

#[tokio::test]
async fn checklist_10_an_answer_is_never_answered() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        for text in [
            r#"[3,"id-1",{}]"#,
            r#"[3,"id-1"]"#,
            r#"[3]"#,
            r#"[4,"id-1","GenericError","",{}]"#,
            r#"[4,"id-1"]"#,
            r#"[4,"id-1",7,"",{}]"#,
        ] {
            assert_eq!(line.say(text).await, None, "{text}");
        }
    }
}

#[tokio::test]
async fn checklist_12_an_error_has_empty_details_and_a_short_description() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        let action = "x".repeat(5000);
        assert_eq!(code(&line.call("1", &action, json!({})).await, "1"), "NotImplemented");
        let answer = line.call("2", "BootNotification", broken(protocol, json!("ü".repeat(5000)))).await;
        assert_eq!(code(&answer, "2"), "PropertyConstraintViolation");
        let id = "x".repeat(37);
        let answer = line.call(&id, "Heartbeat", json!({})).await;
        assert!(["FormationViolation", "RpcFrameworkError"].contains(&code(&answer, &id)));
    }
}

#[tokio::test]
async fn checklist_15_a_message_sent_again_gets_the_same_answer() {
    let line = Line::open(Protocol::Ocpp16).await;
    let start =
        json!({"connectorId": 1, "idTag": "DRIVER", "meterStart": 0, "timestamp": "2026-02-21T12:00:00Z"});
    let first = line.call("1", "StartTransaction", start.clone()).await;
    assert_eq!(line.call("1", "StartTransaction", start.clone()).await, first);
    // Over another socket too: the answer was lost with the first one.
    let again = Connection { id: "socket-2".into(), ..line.connection.clone() };
    charger::Connections::open(&line.memory, &again).await.unwrap();
    let line = Line { connection: again, ..line };
    assert_eq!(line.call("1", "StartTransaction", start.clone()).await, first);

    // Firmware that counts from 1 after each boot means another message by the same id.
    let mut other = start;
    other["meterStart"] = json!(7);
    assert_ne!(line.call("1", "StartTransaction", other).await, first);
    result(&line.call("1", "Heartbeat", json!({})).await, "1");
}

#[tokio::test]
async fn checklist_15_an_old_answer_never_sets_a_clock() {
    let line = Line::open(Protocol::Ocpp16).await;
    let heartbeat = r#"[2,"1","Heartbeat",{}]"#;
    let first = line.say_at(heartbeat, noon()).await.unwrap();
    assert_eq!(line.say_at(heartbeat, at("2026-02-21T12:00:20Z")).await.unwrap(), first);
    let later = line.say_at(heartbeat, at("2026-02-21T12:09:00Z")).await.unwrap();
    assert_eq!(later[2]["currentTime"], json!("2026-02-21T12:09:00Z"));
}

#[tokio::test]
async fn checklist_22_before_it_is_accepted_a_charger_may_only_boot() {
    for protocol in BOTH {
        for (registration, status) in
            [(Registration::Pending, "Pending"), (Registration::Rejected, "Rejected")]
        {
            let line = Line::with(Connection { registration, ..connection(protocol) }).await;
            line.book.registration.set(registration);
            assert_eq!(code(&line.call("1", "Heartbeat", json!({})).await, "1"), "SecurityError");
            let answer = line.call("2", "BootNotification", boot(protocol).0).await;
            assert_eq!(result(&answer, "2")["status"], status);
            assert_eq!(result(&answer, "2")["interval"], 300);
            assert_eq!(code(&line.call("3", "Heartbeat", json!({})).await, "3"), "SecurityError");

            line.book.registration.set(Registration::Accepted);
            let answer = line.call("4", "BootNotification", boot(protocol).0).await;
            assert_eq!(result(&answer, "4")["status"], "Accepted");
            result(&line.call("5", "Heartbeat", json!({})).await, "5");
        }
    }
}

#[tokio::test]
async fn checklist_23_every_heartbeat_is_answered_with_our_time_in_utc() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        let answer = line.call("1", "Heartbeat", json!({})).await;
        assert_eq!(result(&answer, "1")["currentTime"], "2026-02-21T12:00:00Z");
    }
}

#[tokio::test]
async fn checklist_24_heartbeats_come_before_the_gateway_s_idle_limit() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        let answer = line.call("1", "BootNotification", boot(protocol).0).await;
        assert_eq!(result(&answer, "1")["status"], "Accepted");
        assert_eq!(result(&answer, "1")["currentTime"], "2026-02-21T12:00:00Z");
        assert_eq!(result(&answer, "1")["interval"], 540);
    }
}

#[tokio::test]
async fn checklist_43_a_vendor_s_own_message_is_from_an_unknown_vendor() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        let answer = line.call("1", "DataTransfer", json!({"vendorId": "com.example", "data": "x"})).await;
        assert_eq!(result(&answer, "1")["status"], "UnknownVendorId");
    }
}

#[tokio::test]
async fn an_undefined_field_is_no_part_of_the_protocol() {
    for protocol in BOTH {
        let line = Line::open(protocol).await;
        let answer = line.call("1", "Heartbeat", json!({"mood": "good"})).await;
        assert_eq!(code(&answer, "1"), "ProtocolError");
    }
}

#[tokio::test]
async fn a_moment_without_an_offset_is_utc() {
    let line = Line::open(Protocol::Ocpp16).await;
    let stop = json!({"transactionId": 7, "meterStop": 10, "timestamp": "2026-02-21T11:59:00"});
    result(&line.call("1", "StopTransaction", stop).await, "1");
    assert_eq!(line.book.facts.borrow()[0].at, at("2026-02-21T11:59:00Z"));
    let stop = json!({"transactionId": 7, "meterStop": 10, "timestamp": "yesterday"});
    assert_eq!(code(&line.call("2", "StopTransaction", stop).await, "2"), "PropertyConstraintViolation");
}

#[tokio::test]
async fn hostile_nesting_is_a_malformed_payload() {
    let line = Line::open(Protocol::Ocpp16).await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let answer = line.say(&format!(r#"[2,"1","Heartbeat",{{"a":{deep}}}]"#)).await.unwrap();
    assert_eq!(code(&answer, "1"), "FormationViolation");
}

#[tokio::test]
async fn a_database_that_is_away_is_an_internal_error_and_not_remembered() {
    let line = Line::open(Protocol::Ocpp16).await;
    line.book.broken.set(true);
    assert_eq!(code(&line.call("1", "Heartbeat", json!({})).await, "1"), "InternalError");
    line.book.broken.set(false);
    result(&line.call("1", "Heartbeat", json!({})).await, "1");
}
