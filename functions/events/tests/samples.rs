//! The sample batch is what the cache follows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use events::News;
use serde_json::Value;
use shared::Events;

#[test]
fn every_sample_is_understood() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/refresh-cache.json");
    let batch: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let records = batch["Records"].as_array().unwrap();
    assert!(!records.is_empty());
    for record in records {
        let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
        let event_type = body["detail-type"].as_str().unwrap();
        assert!(News::read(event_type, body["detail"].clone()).unwrap().is_ok(), "{event_type}");
    }
}
