//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use shared::Message;
use vendor::{Kind, ListVendors, RegisterVendor, RegisterVendorConnectors, Report, RotateVendorKey, Told};

fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The webhooks' samples are posted in `webhooks.rs`, too.
#[test]
fn every_sample_is_understood() {
    let arguments = |name: &str| read(name)["arguments"].take();
    let _: RegisterVendor = shared::read_fields(arguments("register-vendor")).unwrap();
    let _: RotateVendorKey = shared::read_fields(arguments("rotate-vendor-key")).unwrap();
    let _: RegisterVendorConnectors = shared::read_fields(arguments("register-vendor-connectors")).unwrap();
    let _: ListVendors = shared::read_fields(arguments("list-vendors")).unwrap();

    let webhooks = [
        ("webhook-connector-status", Kind::ConnectorStatus),
        ("webhook-session-start", Kind::SessionStart),
        ("webhook-session-end", Kind::SessionEnd),
    ];
    let records = read("process-vendor-report");
    let records = records["Records"].as_array().unwrap();
    for ((name, kind), record) in webhooks.into_iter().zip(records) {
        let request: rest::Request = serde_json::from_value(read(name)).unwrap();
        let told = Told::parse(kind, request.body()).unwrap();
        let queued = Report::read(serde_json::from_str(record["body"].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(queued.told, told, "{name}");
        assert_eq!(request.header("webhook-id"), Some(queued.webhook_id.as_str()));
    }
}
