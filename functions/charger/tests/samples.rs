//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use charger::{ExpiryRequest, RegisterRequest, SocketEvent, Wish};
use serde_json::Value;
use shared::Events;

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

    for record in read("command-charger")["Records"].as_array().unwrap() {
        let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
        let event_type = body["detail-type"].as_str().unwrap();
        let schema = read(&format!("schemas/{event_type}"));
        jsonschema::validator_for(&schema).unwrap().validate(&body["detail"]).unwrap();
        Wish::read(event_type, body["detail"].clone()).unwrap().unwrap();
    }
}
