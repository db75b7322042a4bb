//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use charger::{ExpiryRequest, RegisterRequest, SessionUpdated, SocketEvent};
use serde_json::Value;

fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_sample_is_understood() {
    for name in ["ocpp-connect", "ocpp-message", "ocpp-disconnect"] {
        let event: SocketEvent = serde_json::from_value(read(name)).unwrap();
        assert!(!event.connection_id().is_empty());
        assert_eq!(event.body().is_empty(), name != "ocpp-message");
    }
    let _: RegisterRequest = serde_json::from_value(read("register-charger")["arguments"].clone()).unwrap();
    let _: ExpiryRequest = serde_json::from_value(read("expire-calls")).unwrap();

    let body = read("command-charger")["Records"][0]["body"].as_str().unwrap().to_owned();
    let event = serde_json::from_str::<Value>(&body).unwrap()["detail"].take();
    jsonschema::validator_for(&read("schemas/SESSION_UPDATED")).unwrap().validate(&event).unwrap();
    let _: SessionUpdated = serde_json::from_value(event).unwrap();
}
