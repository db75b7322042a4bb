//! What `/v1` tells of slots and holds is what its contract says.

use booking::{RestAvailability, RestHold, SlotHold};
use serde_json::{Value, json};
use shared::Failure;
use uuid::Uuid;

use crate::told::{refused, told};
use crate::world::{Process, World};

const HOLD: &str = "POST /v1/bookings/holds";
const AVAILABILITY: &str = "GET /v1/stations/{id}/availability";

fn rest(hold: Result<SlotHold, Failure>) -> Result<RestHold, Failure> {
    hold.map(RestHold::from)
}

async fn availability(world: &World, process: &Process, asked: Value) -> Result<RestAvailability, Failure> {
    world.availability(process, asked).await.map(RestAvailability::from)
}

#[tokio::test]
async fn slots_and_holds_are_told_as_the_contract_says_with_redis_and_without() {
    for with_redis in [true, false] {
        let world = World::new(with_redis).await;
        let (process, me) = (world.process(), world.driver().await);
        let asked = json!({ "startDate": "2026-11-22", "slotDurationMinutes": "90" });
        let (status, free) = told(AVAILABILITY, availability(&world, &process, asked).await);
        assert_eq!((status, &free["stationId"], &free["total"]), (200, &json!(world.station), &json!(32)));
        assert_eq!(free["availableSlots"][0]["durationMinutes"], 90);

        let (status, held) = told(HOLD, rest(world.hold(&process, me, 0, "11:00", "12:00").await));
        assert_eq!((status, &held["expiresIn"]), (200, &json!(600)));
        let again = told(HOLD, rest(world.hold(&process, me, 0, "11:00", "12:00").await)).1;
        assert_eq!(again["token"], held["token"]);
    }
}

#[tokio::test]
async fn every_reason_not_to_hold_has_its_code() {
    let world = World::new(true).await;
    let (process, me, other) = (world.process(), world.driver().await, world.driver().await);
    for (from, to) in [("11:00", "12:00"), ("12:00", "13:00"), ("13:00", "14:00")] {
        world.hold(&process, me, 0, from, to).await.unwrap();
    }
    let hold = async |user, connector, from: &str, to: &str| {
        refused(HOLD, rest(world.hold(&process, user, connector, from, to).await))
    };
    assert_eq!(hold(other, 0, "11:30", "12:30").await, (409, json!("SLOT_TAKEN")));
    assert_eq!(hold(me, 0, "15:00", "16:00").await, (409, json!("TOO_MANY_HOLDS")));
    assert_eq!(hold(other, 0, "09:00", "10:00").await, (400, json!(["INVALID", "startTs"])));
    assert_eq!(hold(other, 0, "15:00", "15:10").await, (400, json!(["INVALID", "endTs"])));
    assert_eq!(hold(other, 0, "noon", "15:00").await, (400, json!(["INVALID", "startTs"])));

    world
        .run(&format!(
            "UPDATE connectors SET status = 'FAULTED' WHERE connector_number = 2;
             UPDATE stations SET opening_periods = '[{{\"days\": [\"SATURDAY\"], \"from\": \"08:00\", \"to\": \"20:00\"}}]'
             WHERE id = '{}'",
            world.station
        ))
        .await;
    process.holds.freed(world.station, world.connectors[0], world.now).await;
    assert_eq!(hold(other, 0, "20:00", "21:00").await, (409, json!("CLOSED")));
    assert_eq!(hold(other, 1, "15:00", "16:00").await, (409, json!("CONNECTOR_UNAVAILABLE")));

    let unknown = availability(&world, &process, json!({ "stationId": Uuid::new_v4() })).await;
    assert_eq!(refused(AVAILABILITY, unknown), (404, json!("NOT_FOUND")));
    let wrong = availability(&world, &process, json!({ "endDate": "2026-11-20" })).await;
    assert_eq!(refused(AVAILABILITY, wrong), (400, json!(["INVALID", "endDate"])));

    // More than 60 in an hour.
    let asked = async || rest(world.hold(&process, other, 0, "11:30", "12:30").await);
    let mut last = refused(HOLD, asked().await);
    for _ in 0..60 {
        last = refused(HOLD, asked().await);
    }
    assert_eq!(last, (429, json!("LIMITED")));

    world.bus.refuse(true);
    let third = world.driver().await;
    assert_eq!(
        refused(HOLD, rest(world.hold(&process, third, 0, "16:00", "17:00").await)),
        (503, json!("UNAVAILABLE"))
    );
}
