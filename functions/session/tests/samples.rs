//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde::de::DeserializeOwned;
use session::{
    ActiveRequest, EndRequest, GetRequest, ListRequest, MeterValuesRequest, StartRequest, UpdateRequest,
    WatchRequest,
};

fn arguments<A: DeserializeOwned>(function: &str) -> A {
    let path = format!("{}/../../events/{function}.json", env!("CARGO_MANIFEST_DIR"));
    let mut event: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(event["arguments"].take()).unwrap()
}

#[test]
fn every_sample_is_understood() {
    let start: StartRequest = arguments("start-session");
    assert!(start.input.connector_id.is_some());
    let _: EndRequest = arguments("end-session");
    let _: GetRequest = arguments("get-session");
    let list: ListRequest = arguments("list-sessions");
    assert!(list.station_id.is_some() && list.from < list.to);
    let _: ActiveRequest = arguments("active-sessions");
    let _: MeterValuesRequest = arguments("meter-values");
    let update: UpdateRequest = arguments("update-session");
    assert!(update.input.energy.is_some() && update.input.end_time.is_some());
    let _: WatchRequest = arguments("watch-session");
}
