//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use live::{News, SocketEvent};
use serde_json::Value;
use shared::Message;

fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_sample_is_understood() {
    for name in ["live-connect", "live-message", "live-disconnect"] {
        let event: SocketEvent = serde_json::from_value(read(name)).unwrap();
        assert!(!event.socket().as_str().is_empty());
        assert_eq!(event.body().is_empty(), name != "live-message");
    }
    let records = read("live-fan-out")["Records"].as_array().unwrap().clone();
    for record in &records {
        let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
        let schema = read("schemas/CONNECTOR_STATUS_CHANGED");
        jsonschema::validator_for(&schema).unwrap().validate(&body["detail"]).unwrap();
        assert!(matches!(News::read(body["detail"].clone()).unwrap(), News::Changed(_)));
    }
    assert!(!records.is_empty());
}
