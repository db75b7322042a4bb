//! The sample events are what the functions take.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use booking::{
    AskAvailability, CancelBooking, ConfirmBooking, Confirmation, GetBooking, HoldSlot, ListBookings,
    MarkRequest, MyBookings, ReleaseHold, SetStationHours, SlotWish, Tracked,
};
use rest::Request;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::{Envelope, Events};

fn read(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What a resolver is asked.
fn arguments<A: DeserializeOwned>(name: &str) -> A {
    shared::read_fields(read(name)["arguments"].take()).unwrap()
}

/// What a route is asked.
fn fields<A: DeserializeOwned>(name: &str) -> A {
    let request: Request = serde_json::from_value(read(name)).unwrap();
    request.fields().unwrap_or_else(|_| panic!("{name} is not understood"))
}

#[test]
fn every_sample_of_slots_is_understood() {
    let _: AskAvailability = arguments("station-availability");
    let _: HoldSlot = arguments("hold-slot");
    let _: ReleaseHold = arguments("release-hold");
    let _: SetStationHours = arguments("set-station-hours");
    let _: AskAvailability = fields("rest-station-availability");
    let _: SlotWish = fields("rest-hold-slot");
    let _: ReleaseHold = fields("rest-release-hold");
}

#[test]
fn every_sample_of_bookings_is_understood() {
    let _: ConfirmBooking = arguments("confirm-booking");
    let _: CancelBooking = arguments("cancel-booking");
    let _: GetBooking = arguments("get-booking");
    let _: MyBookings = arguments("my-bookings");
    let _: Confirmation = fields("rest-confirm-booking");
    let _: CancelBooking = fields("rest-cancel-booking");
    let _: ListBookings = fields("rest-list-bookings");
    let _: MarkRequest = shared::read_fields(read("mark-no-shows")).unwrap();
    let records = read("track-bookings")["Records"].take();
    let tracked: Vec<Tracked> = records
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
            let event: Envelope<Value> = shared::read_fields(body["detail"].clone()).unwrap();
            Tracked::read(&event.event_type, event.payload).unwrap().unwrap()
        })
        .collect();
    assert!(matches!(tracked[..], [Tracked::Session(_), Tracked::Session(_), Tracked::Hold(_)]));
}
