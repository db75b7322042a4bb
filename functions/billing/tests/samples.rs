//! The sample events are what the functions take, and `SESSION_ENDED` is what its schema says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use billing::{AdjustWallet, GetInvoice, ListInvoices, ListWalletEntries, OverdueRequest, SessionEnded};
use lambda_http::RequestExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn file(path: &str) -> String {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn read(path: &str) -> Value {
    serde_json::from_str(&file(path)).unwrap()
}

fn arguments<T: DeserializeOwned>(path: &str) -> T {
    serde_json::from_value(read(path)["arguments"].clone()).unwrap()
}

#[test]
fn every_sample_is_understood() {
    let _: AdjustWallet = arguments("credit-wallet");
    let _: AdjustWallet = arguments("debit-wallet");
    let _: ListInvoices = arguments("list-invoices");
    let _: GetInvoice = arguments("get-invoice");
    let _: GetInvoice = arguments("link-invoice-page");
    let _: ListWalletEntries = arguments("wallet-entries");
    let _: OverdueRequest = serde_json::from_value(read("mark-overdue")).unwrap();

    let page = lambda_http::request::from_str(&file("invoice-page")).unwrap();
    assert!(page.path_parameters().first("id").is_some());
    assert!(page.query_string_parameters().first("expires").is_some());
    assert!(page.query_string_parameters().first("signature").is_some());

    let body = read("bill-session")["Records"][0]["body"].as_str().unwrap().to_owned();
    let event = serde_json::from_str::<Value>(&body).unwrap()["detail"].take();
    let schema = jsonschema::validator_for(&read("schemas/SESSION_ENDED")).unwrap();
    schema.validate(&event).unwrap();
    let ended: SessionEnded = serde_json::from_value(event).unwrap();
    assert!(ended.tariff_id.is_some() && ended.started_at.is_some() && ended.ended_at.is_some());
}

#[test]
fn billing_needs_no_field_that_the_schema_leaves_out() {
    let schema = read("schemas/SESSION_ENDED");
    let required: Vec<_> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for field in ["sessionId", "userId", "stationId", "energyKwh"] {
        assert!(required.contains(&field), "{field}");
    }
}
