//! What is accepted, answered and asked, held against the Open Charge Alliance's own schemas.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use charger::{BookingTold, Commanded, Need, Protocol, Reservation, SessionUpdated, Wish, command};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use session::Status;
use shared::{BookingId, SessionId};
use support::{Line, charge_point, event, noon};

const AT: &str = "2026-02-21T12:00:00Z";

fn schema(protocol: Protocol, action: &str, is_response: bool) -> Validator {
    let (folder, suffix) = match (protocol, is_response) {
        (Protocol::Ocpp16, false) => ("v1_6", ""),
        (Protocol::Ocpp16, true) => ("v1_6", "Response"),
        (Protocol::Ocpp201, false) => ("v2_0_1", "Request"),
        (Protocol::Ocpp201, true) => ("v2_0_1", "Response"),
    };
    let path = format!("{}/tests/schemas/{folder}/{action}{suffix}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    // One of them begins with a byte order mark.
    jsonschema::validator_for(&serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()).unwrap()
}

/// Every action that is served, with a payload that uses much of it.
fn served() -> Vec<(Protocol, &'static str, Value)> {
    let sample = json!({"timestamp": AT, "sampledValue": [{
        "value": "22.4", "context": "Sample.Periodic", "format": "Raw", "measurand": "Energy.Active.Import.Register",
        "location": "Outlet", "unit": "kWh",
    }]});
    let v16 = [
        ("Authorize", json!({"idTag": "DRIVER"})),
        (
            "BootNotification",
            json!({
                "chargePointVendor": "ACME", "chargePointModel": "One", "chargePointSerialNumber": "1",
                "chargeBoxSerialNumber": "2", "firmwareVersion": "3", "iccid": "4", "imsi": "5", "meterType": "6",
                "meterSerialNumber": "7",
            }),
        ),
        ("DataTransfer", json!({"vendorId": "com.example", "messageId": "1", "data": "x"})),
        ("DiagnosticsStatusNotification", json!({"status": "Idle"})),
        ("FirmwareStatusNotification", json!({"status": "Installed"})),
        ("Heartbeat", json!({})),
        ("LogStatusNotification", json!({"status": "Uploaded", "requestId": 1})),
        ("MeterValues", json!({"connectorId": 1, "transactionId": 7, "meterValue": [sample]})),
        ("SecurityEventNotification", json!({"type": "FirmwareUpdated", "timestamp": AT, "techInfo": "x"})),
        ("SignedFirmwareStatusNotification", json!({"status": "Idle", "requestId": 1})),
        (
            "StartTransaction",
            json!({
                "connectorId": 1, "idTag": "DRIVER", "meterStart": 0, "timestamp": AT, "reservationId": 1,
            }),
        ),
        (
            "StatusNotification",
            json!({
                "connectorId": 1, "errorCode": "GroundFailure", "info": "x", "status": "Faulted", "timestamp": AT,
                "vendorId": "ACME", "vendorErrorCode": "E7",
            }),
        ),
        (
            "StopTransaction",
            json!({
                "idTag": "DRIVER", "meterStop": 7, "timestamp": AT, "transactionId": 7, "reason": "Local",
                "transactionData": [sample],
            }),
        ),
    ];
    let sample = json!({"timestamp": AT, "sampledValue": [{
        "value": 22.4, "context": "Sample.Periodic", "measurand": "Energy.Active.Import.Register",
        "location": "Outlet", "unitOfMeasure": {"unit": "kWh", "multiplier": 0},
    }]});
    let token = json!({
        "idToken": "DRIVER", "type": "ISO14443", "additionalInfo": [{"additionalIdToken": "x", "type": "y"}],
    });
    let component = json!({"name": "EVSE", "instance": "a", "evse": {"id": 1, "connectorId": 1}});
    let variable = json!({"name": "Available", "instance": "b"});
    let v201 = [
        ("Authorize", json!({"idToken": token, "customData": {"vendorId": "ACME", "any": [1]}})),
        (
            "BootNotification",
            json!({"reason": "PowerUp", "chargingStation": {
                "vendorName": "ACME", "model": "One", "serialNumber": "1", "firmwareVersion": "2",
                "modem": {"iccid": "3", "imsi": "4"},
            }}),
        ),
        ("DataTransfer", json!({"vendorId": "com.example", "messageId": "1"})),
        ("FirmwareStatusNotification", json!({"status": "Installed", "requestId": 1})),
        ("Heartbeat", json!({})),
        ("LogStatusNotification", json!({"status": "Uploaded", "requestId": 1})),
        ("MeterValues", json!({"evseId": 1, "meterValue": [sample]})),
        (
            "NotifyEvent",
            json!({"generatedAt": AT, "seqNo": 0, "tbc": false, "eventData": [{
                "eventId": 1, "timestamp": AT, "trigger": "Alerting", "actualValue": "x", "component": component,
                "variable": variable, "eventNotificationType": "CustomMonitor",
            }]}),
        ),
        (
            "NotifyMonitoringReport",
            json!({"requestId": 1, "seqNo": 0, "generatedAt": AT, "monitor": [{
                "component": component, "variable": variable, "variableMonitoring": [{
                    "id": 1, "transaction": false, "value": 1.5, "type": "UpperThreshold", "severity": 3,
                }],
            }]}),
        ),
        (
            "NotifyReport",
            json!({"requestId": 1, "generatedAt": AT, "seqNo": 0, "reportData": [{
                "component": component, "variable": variable,
                "variableAttribute": [{"type": "Actual", "value": "true", "mutability": "ReadOnly"}],
                "variableCharacteristics": {"dataType": "boolean", "supportsMonitoring": true},
            }]}),
        ),
        (
            "ReservationStatusUpdate",
            json!({"reservationId": 1, "reservationUpdateStatus": "Expired", "customData": {"vendorId": "ACME"}}),
        ),
        ("SecurityEventNotification", json!({"type": "FirmwareUpdated", "timestamp": AT})),
        (
            "StatusNotification",
            json!({
                "timestamp": AT, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1,
            }),
        ),
        (
            "TransactionEvent",
            json!({
                "eventType": "Updated", "timestamp": AT, "triggerReason": "MeterValuePeriodic", "seqNo": 3,
                "offline": false, "numberOfPhasesUsed": 3, "cableMaxCurrent": 32, "meterValue": [sample],
                "transactionInfo": {
                    "transactionId": "t-1", "chargingState": "Charging", "timeSpentCharging": 60, "remoteStartId": 7,
                },
                "evse": {"id": 1, "connectorId": 1}, "idToken": token,
            }),
        ),
    ];
    let of = |protocol| move |(action, payload)| (protocol, action, payload);
    v16.into_iter().map(of(Protocol::Ocpp16)).chain(v201.into_iter().map(of(Protocol::Ocpp201))).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Whether the payload was accepted; the answer to it is what its schema says.
fn is_accepted(protocol: Protocol, action: &str, payload: &Value) -> bool {
    let answer = block_on(async { Line::open(protocol).await.call("1", action, payload.clone()).await });
    if answer[0] == 3 {
        schema(protocol, action, true).validate(&answer[2]).unwrap();
    }
    answer[0] == 3
}

#[test]
fn what_the_schemas_allow_is_accepted_and_answered_by_the_schemas() {
    for (protocol, action, payload) in served() {
        schema(protocol, action, false)
            .validate(&payload)
            .unwrap_or_else(|error| panic!("{action}: {error}"));
        assert!(is_accepted(protocol, action, &payload), "{action}");
    }
}

#[test]
fn what_is_asked_of_chargers_is_what_the_schemas_allow() {
    for protocol in [Protocol::Ocpp16, Protocol::Ocpp201] {
        for status in [Status::Starting, Status::Stopping] {
            let frame = block_on(async {
                let line = Line::open(protocol).await;
                *line.book.commanded.borrow_mut() = Some(Commanded {
                    status,
                    charge_point_id: charge_point(),
                    protocol: Some(protocol),
                    online: true,
                    connector_number: 1,
                    id_tag: "DRIVER".into(),
                    remote_start_id: 7,
                    transaction_id: Some("7".into()),
                });
                let wish = Wish::Session(SessionUpdated { session_id: SessionId::new(), status });
                command(line.desk(), event("SESSION_UPDATED", noon(), wish), noon()).await.unwrap();
                line.memory.sent()
            });
            schema(protocol, frame[2].as_str().unwrap(), false).validate(&frame[3]).unwrap();
        }
        for need in [Need::Reserve, Need::Release] {
            let frame = block_on(async {
                let line = Line::open(protocol).await;
                *line.book.reservation.borrow_mut() = Some(Reservation {
                    need: Some(need),
                    charge_point_id: charge_point(),
                    protocol: Some(protocol),
                    online: true,
                    connector_number: 1,
                    id_tag: "DRIVER-OF-20-LETTERS".into(),
                    reservation_id: i32::MAX,
                    ends_at: noon(),
                });
                let told = BookingTold { booking_id: BookingId::new() };
                let wish = if need == Need::Reserve { Wish::Due(told) } else { Wish::Forgone(told) };
                command(line.desk(), event("", noon(), wish), noon()).await.unwrap();
                line.memory.sent()
            });
            schema(protocol, frame[2].as_str().unwrap(), false).validate(&frame[3]).unwrap();
        }
    }
}

/// The pointers of every value within.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, it)| places(it, &format!("{at}/{key}"), found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, it)| places(it, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// What may be wrong with a value.
fn damage() -> impl Strategy<Value = Option<Value>> {
    select(vec![
        None,
        Some(json!(7)),
        Some(json!(-1)),
        Some(json!(0.5)),
        Some(json!(3_000_000_000_u64)),
        Some(json!(true)),
        Some(json!("")),
        Some(json!("Charging")),
        Some(json!("x".repeat(21))),
        Some(json!("x".repeat(2600))),
        Some(json!([])),
        Some(json!({})),
        Some(json!({"vendorId": "ACME"})),
    ])
}

fn damaged(mut payload: Value, place: Index, damage: Option<Value>) -> Value {
    let mut found = Vec::new();
    places(&payload, "", &mut found);
    let place = place.get(&found);
    match damage {
        Some(value) => *payload.pointer_mut(place).unwrap() = value,
        None => {
            let (parent, key) = place.rsplit_once('/').unwrap_or_default();
            if let Some(Value::Object(members)) = payload.pointer_mut(parent) {
                members.remove(key);
            }
        }
    }
    payload
}

/// Moments are checked here and not by the schemas, and integers of more than 32 bits are refused here.
fn is_beyond_the_schemas(payload: &Value) -> bool {
    let mut found = Vec::new();
    places(payload, "", &mut found);
    found.iter().any(|place| {
        let value = payload.pointer(place).unwrap();
        let names_a_moment = ["timestamp", "generatedAt"].iter().any(|name| place.ends_with(name));
        (names_a_moment && value.as_str().is_some_and(|text| text != AT))
            || value.as_u64() > Some(i32::MAX as u64)
    })
}

/// A refused end would be lost.
#[test]
fn an_end_is_taken_in_with_meter_values_that_have_no_samples() {
    let empty = json!({"timestamp": AT, "sampledValue": []});
    let sampled = json!({"timestamp": AT, "sampledValue": [{"value": "7"}]});
    for data in [json!([empty, sampled]), json!([empty])] {
        let ended = json!({"meterStop": 7, "timestamp": AT, "transactionId": 7, "transactionData": data});
        assert!(is_accepted(Protocol::Ocpp16, "StopTransaction", &ended), "{ended}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_the_schemas_refuse_is_refused(call in select(served()), place: Index, damage in damage()) {
        let (protocol, action, payload) = call;
        let payload = damaged(payload, place, damage);
        prop_assume!(!is_beyond_the_schemas(&payload));
        let is_allowed = schema(protocol, action, false).is_valid(&payload);
        prop_assert_eq!(is_accepted(protocol, action, &payload), is_allowed, "{} {}", action, payload);
    }
}
