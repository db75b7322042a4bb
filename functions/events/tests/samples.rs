//! The sample events are what the functions take, and what drivers are told of is what its schemas say.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::Path;

use events::{
    AuditLog, EventTrail, ListDeadLetters, News, NotificationSettingsOf, PurgeRequest, ReconcileRequest,
    RelayRequest, ReplayDeadLetters, Told, UpdateNotificationSettings,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::Events;

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../events/{path}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn arguments<A: DeserializeOwned>(name: &str) -> A {
    shared::read_fields(read(name)["arguments"].take()).unwrap()
}

/// The events of a batch.
fn batch(name: &str) -> Vec<Value> {
    let records = read(name)["Records"].take();
    let detail = |record: &Value| {
        let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["detail-type"], body["detail"]["eventType"]);
        body["detail"].clone()
    };
    records.as_array().unwrap().iter().map(detail).collect()
}

#[test]
fn every_sample_is_understood() {
    arguments::<ListDeadLetters>("dead-letters");
    arguments::<EventTrail>("event-trail");
    arguments::<AuditLog>("audit-log");
    arguments::<ReplayDeadLetters>("replay-dlq");
    arguments::<NotificationSettingsOf>("notification-settings");
    arguments::<UpdateNotificationSettings>("update-notification-settings");
    shared::read_fields::<RelayRequest>(read("relay-outbox")).unwrap();
    shared::read_fields::<ReconcileRequest>(read("reconcile-dlq")).unwrap();
    shared::read_fields::<PurgeRequest>(read("purge-outbox")).unwrap();

    let followed = batch("refresh-cache");
    assert!(!followed.is_empty());
    for event in followed {
        let event_type = event["eventType"].as_str().unwrap().to_owned();
        assert!(News::read(&event_type, event).unwrap().is_ok(), "{event_type}");
    }
}

#[test]
fn drivers_are_told_of_every_event_that_is_to_be_and_it_is_what_its_schema_says() {
    let mut shown = BTreeSet::new();
    for event in batch("notify") {
        let event_type = event["eventType"].as_str().unwrap().to_owned();
        let schema = jsonschema::validator_for(&read(&format!("schemas/{event_type}"))).unwrap();
        schema.validate(&event).unwrap_or_else(|error| panic!("{event_type}: {error}"));
        Told::read(&event_type, event).unwrap().unwrap_or_else(|error| panic!("{event_type}: {error}"));
        shown.insert(event_type);
    }
    // The template's own words: what the rule lets through.
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let template = std::fs::read_to_string(template).unwrap();
    let (_, rule) = template.split_once("\n  NotifyRule:\n").unwrap();
    let (_, types) = rule.split_once("detail-type:\n").unwrap();
    let listed = types.lines().map_while(|line| line.trim().strip_prefix("- ")).map(ToOwned::to_owned);
    assert_eq!(shown, listed.collect::<BTreeSet<_>>());
}

#[test]
fn a_message_needs_no_field_that_the_schema_leaves_out() {
    for event in batch("notify") {
        let event_type = event["eventType"].as_str().unwrap().to_owned();
        let schema = read(&format!("schemas/{event_type}"));
        let required: BTreeSet<_> =
            schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let mut bare = event;
        bare.as_object_mut().unwrap().retain(|field, _| required.contains(field.as_str()));
        assert!(Told::read(&event_type, bare).unwrap().is_ok(), "{event_type}");
    }
}
