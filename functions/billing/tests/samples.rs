//! The sample events are what the functions take, and `SESSION_ENDED` is what its schema says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use billing::{CreditWallet, ListInvoices, SessionEnded};
use serde_json::Value;

fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_sample_is_understood() {
    let _: CreditWallet = serde_json::from_value(read("credit-wallet")["arguments"].clone()).unwrap();
    let _: ListInvoices = serde_json::from_value(read("list-invoices")["arguments"].clone()).unwrap();

    let body = read("bill-session")["Records"][0]["body"].as_str().unwrap().to_owned();
    let event = serde_json::from_str::<Value>(&body).unwrap()["detail"].take();
    let schema = jsonschema::validator_for(&read("schemas/SESSION_ENDED")).unwrap();
    schema.validate(&event).unwrap();
    let _: SessionEnded = serde_json::from_value(event).unwrap();
}

#[test]
fn billing_needs_no_field_that_the_schema_leaves_out() {
    let schema = read("schemas/SESSION_ENDED");
    let required: Vec<_> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for field in ["sessionId", "userId", "stationId", "energyKwh"] {
        assert!(required.contains(&field), "{field}");
    }
}
