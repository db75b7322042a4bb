use chrono::TimeDelta;
use serde_json::json;
use shared::Failure;

use crate::world::{World, at, conflict, time};

/// What a hold is, wherever it is kept.
async fn holds_are_kept(with_redis: bool) {
    let mut world = World::new(with_redis).await;
    let process = world.process();
    let (me, you) = (world.driver().await, world.driver().await);

    // The same slot again is the same hold; it counts once and is told of once.
    let mine = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();
    assert_eq!((mine.expires_in, mine.expires_at), (600, at("2026-11-21T10:10:00Z")));
    world.later(TimeDelta::seconds(1));
    let again = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();
    assert_eq!((&again.token, again.expires_in), (&mine.token, 599));
    let told = world.check_events();
    assert!(!told.is_empty() && told.iter().all(|event| event["eventId"] == told[0]["eventId"]), "{told:?}");
    assert_eq!(told[0]["holdToken"], json!(mine.token));

    // Whatever shares a minute with it is taken, for the holder, too; what touches it is not, nor is the neighbour.
    for (from, to) in
        [("11:30", "12:30"), ("12:59", "13:30"), ("11:00", "14:00"), ("12:15", "12:45"), ("11:45", "12:01")]
    {
        assert_eq!(conflict(world.hold(&process, you, 0, from, to).await), "SLOT_TAKEN", "{from}");
    }
    assert_eq!(conflict(world.hold(&process, you, 0, "12:00", "13:00").await), "SLOT_TAKEN");
    assert_eq!(conflict(world.hold(&process, me, 0, "12:30", "13:30").await), "SLOT_TAKEN");
    for (connector, from, to) in [(0, "11:00", "12:00"), (0, "13:00", "13:15"), (1, "12:00", "13:00")] {
        world.hold(&process, you, connector, from, to).await.unwrap();
    }

    // Three are the most; what is given back does not count, and giving it back twice is no error.
    assert_eq!(conflict(world.hold(&process, you, 1, "20:00", "21:00").await), "TOO_MANY_HOLDS");
    let extra = world.hold(&process, me, 1, "20:00", "21:00").await.unwrap();
    assert!(world.release(&process, you, &extra).await.unwrap());
    assert_eq!(conflict(world.hold(&process, world.driver().await, 1, "20:00", "21:00").await), "SLOT_TAKEN");
    assert!(world.release(&process, me, &extra).await.unwrap());
    assert!(world.release(&process, me, &extra).await.unwrap());
    let third = world.driver().await;
    world.hold(&process, third, 1, "20:00", "21:00").await.unwrap();
    for hour in ["14:00", "15:00"] {
        world.hold(&process, me, 1, hour, &hour.replace(":00", ":30")).await.unwrap();
    }
    assert_eq!(conflict(world.hold(&process, me, 1, "16:00", "16:30").await), "TOO_MANY_HOLDS");

    // Until the last millisecond it keeps others away, and not from the moment on at which it lapses.
    world.now = mine.expires_at - TimeDelta::milliseconds(1);
    assert_eq!(conflict(world.hold(&process, third, 0, "12:00", "13:00").await), "SLOT_TAKEN");
    world.now = mine.expires_at;
    let next = world.hold(&process, third, 0, "12:00", "13:00").await.unwrap();
    assert_ne!(next.token, mine.token);
    assert!(world.release(&process, me, &mine).await.unwrap());
    assert_eq!(conflict(world.hold(&process, me, 0, "12:00", "13:00").await), "SLOT_TAKEN");
    world.check_events();
}

#[tokio::test]
async fn holds_are_kept_in_redis() {
    holds_are_kept(true).await;
}

#[tokio::test]
async fn holds_are_kept_in_the_database_without_redis() {
    holds_are_kept(false).await;
}

#[tokio::test]
async fn a_hold_is_found_by_its_owner_and_spent_by_its_booking() {
    let mut world = World::new(true).await;
    let process = world.process();
    let (me, you) = (world.driver().await, world.driver().await);
    let mine = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();

    let found = process.holds.find(&mine.token, me, world.now).await.unwrap().unwrap();
    assert_eq!(
        (found.connector_id, found.start_ts, found.end_ts),
        (mine.connector_id, mine.start_ts, mine.end_ts)
    );
    assert_eq!((found.station_id, found.expires_at, found.user_id), (world.station, mine.expires_at, me));
    assert_eq!(process.holds.find(&mine.token, you, world.now).await.unwrap(), None);
    assert_eq!(conflict(process.holds.find(&mine.token, me, mine.expires_at).await), "HOLD_EXPIRED");

    // Its booking blocks the slot in Redis for longer than the hold would have: no calendar that lacks it is older.
    world.later(TimeDelta::seconds(595));
    let booked = |token| {
        process.holds.booked(world.station, mine.connector_id, mine.start_ts, mine.end_ts, token, world.now)
    };
    booked(Some(&mine.token)).await;
    booked(Some(&mine.token)).await;
    assert_eq!(process.holds.find(&mine.token, me, world.now).await.unwrap(), None);
    world.run("DELETE FROM slot_holds").await;
    world.later(TimeDelta::seconds(100));
    assert_eq!(conflict(world.hold(&process, you, 0, "12:30", "13:30").await), "SLOT_TAKEN");
    assert_eq!(world.free(&process, "12:00", "13:00").await, "2 12:00");
    // It no longer counts.
    for hour in ["14:00", "15:00", "16:00"] {
        world.hold(&process, me, 1, hour, &hour.replace(":00", ":30")).await.unwrap();
    }

    // Cancelled, it is free at once; giving back the spent hold takes nothing from who has the slot now.
    process.holds.freed(world.station, mine.connector_id, mine.start_ts).await;
    let yours = world.hold(&process, you, 0, "12:00", "13:00").await.unwrap();
    process
        .holds
        .booked(world.station, mine.connector_id, mine.start_ts, mine.end_ts, Some(&yours.token), world.now)
        .await;
    world.run("DELETE FROM slot_holds").await;
    world.release(&process, me, &mine).await.unwrap();
    assert_eq!(conflict(world.hold(&process, world.driver().await, 0, "12:00", "13:00").await), "SLOT_TAKEN");
}

#[tokio::test]
async fn what_cannot_be_held_is_refused_with_its_reason() {
    let world = World::new(true).await;
    let process = world.process();
    let me = world.driver().await;
    let invalid = async |from: &str, to: &str| match world.hold(&process, me, 0, from, to).await.unwrap_err()
    {
        Failure::Invalid { field, .. } => field.into_owned(),
        failure => panic!("{failure:?}"),
    };
    assert_eq!(invalid("2026-11-21T12:00:30Z", "13:00").await, "startTs");
    assert_eq!(invalid("12:00", "2026-11-21T13:00:00.5Z").await, "endTs");
    assert_eq!(invalid("10:00", "11:00").await, "startTs");
    assert_eq!(invalid("2026-12-21T10:01:00Z", "2026-12-21T11:00:00Z").await, "startTs");
    for end in ["12:14", "12:00", "11:00", "2026-11-22T12:01:00Z", "+262142-12-31T00:00:00Z"] {
        assert_eq!(invalid("12:00", end).await, "endTs", "{end}");
    }
    assert_eq!(invalid("noon", "13:00").await, "startTs");
    world.hold(&process, me, 0, "2026-12-21T10:00:00Z", "2026-12-22T10:00:00Z").await.unwrap();
    // The fields are named as they were written.
    let input = json!({
        "stationId": world.station, "connectorId": world.connectors[0], "startTs": time("09:00"), "endTs": time("11:00"),
    });
    let request = shared::read_fields(json!({ "input": input })).unwrap();
    let failure = booking::hold_slot(&process.desk, &world.caller(me, shared::Role::Driver), request).await;
    assert!(matches!(failure.unwrap_err(), Failure::Invalid { field, .. } if field == "input.startTs"));

    // Other stations' connectors are none.
    let (other, foreign) = world.add_station(1).await;
    let missing = async |station: serde_json::Value, connector: serde_json::Value| {
        let wish = json!({
            "stationId": station, "connectorId": connector, "startTs": time("12:00"), "endTs": time("13:00"),
        });
        let caller = world.caller(me, shared::Role::Driver);
        booking::hold(&process.desk, &caller, shared::read_fields(wish).unwrap())
            .await
            .unwrap_err()
            .to_string()
    };
    assert_eq!(missing(json!(world.station), json!(foreign[0])).await, "there is no such connector");
    assert_eq!(missing(json!(other), json!(world.connectors[0])).await, "there is no such connector");
    assert_eq!(missing(json!(me), json!(world.connectors[0])).await, "there is no such station");

    // Bookings, sessions and faults are in the calendar.
    world.book(world.connectors[0], at("2026-11-21T15:00:00Z"), at("2026-11-21T16:00:00Z")).await;
    let [first, second] = world.connectors[..] else { panic!() };
    world.run(&format!("UPDATE connectors SET status = 'FAULTED' WHERE id = '{second}'")).await;
    process.holds.freed(world.station, first, at("2020-01-01T00:00:00Z")).await;
    assert_eq!(conflict(world.hold(&process, me, 0, "15:59", "17:00").await), "SLOT_TAKEN");
    assert_eq!(conflict(world.hold(&process, me, 1, "12:00", "13:00").await), "CONNECTOR_UNAVAILABLE");
    world.hold(&process, me, 0, "16:00", "17:00").await.unwrap();
}

#[tokio::test]
async fn holds_are_asked_for_sixty_times_an_hour() {
    let world = World::new(true).await;
    let process = world.process();
    let me = world.driver().await;
    for _ in 0..60 {
        world.hold(&process, me, 0, "12:00", "13:00").await.unwrap();
    }
    let limited = world.hold(&process, me, 0, "12:00", "13:00").await.unwrap_err();
    assert!(matches!(limited, Failure::Limited { retry_after_seconds: 3590..=3600 }), "{limited:?}");
    world.hold(&process, world.driver().await, 1, "12:00", "13:00").await.unwrap();
}
