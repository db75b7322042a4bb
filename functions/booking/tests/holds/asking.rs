use chrono::TimeDelta;
use serde_json::json;
use shared::Failure;

use crate::world::{World, at, time};

#[tokio::test]
async fn what_is_free_is_told_with_redis_and_without() {
    for with_redis in [true, false] {
        let mut world = World::new(with_redis).await;
        let process = world.process();
        let [first, second] = world.connectors[..] else { panic!() };
        let me = world.driver().await;
        world.book(first, at("2026-11-21T13:30:00Z"), at("2026-11-21T14:00:00Z")).await;
        world.hold(&process, me, 1, "12:00", "12:15").await.unwrap();
        // Since 09:30: until 10:30, and always for a quarter of an hour more.
        world
            .run(&format!(
                "INSERT INTO sessions (id, user_id, station_id, connector_id, status, start_time, remote_start_id,
                                       correlation_id, created_at, updated_at)
                 VALUES ('{me}', '{me}', '{}', '{first}', 'IN_PROGRESS', '2026-11-21T09:30:00Z', 1, '{me}', now(), now());
                 INSERT INTO open_sessions VALUES ('{first}', '{me}', '{me}')",
                world.station
            ))
            .await;
        process.holds.freed(world.station, second, world.now).await;
        assert_eq!(
            world.free(&process, "10:00", "15:00").await,
            "1 11:00, 2 11:00, 1 12:00, 2 13:00, 1 14:00, 2 14:00",
            "never now or in the past"
        );
        world.later(TimeDelta::minutes(51));
        assert_eq!(
            world.free(&process, "10:00", "13:00").await,
            "2 11:00, 1 12:00, 2 12:00",
            "it goes on until 11:06; the hold has lapsed"
        );

        // Half-open at both ends, other lengths, and the whole of a connector out of service.
        let asked =
            json!({ "startDate": time("14:00"), "endDate": time("14:30"), "slotDurationMinutes": 15 });
        let told = world.availability(&process, asked).await.unwrap();
        let starts: Vec<_> =
            told.available_slots.iter().map(|s| s.start.format("%H:%M").to_string()).collect();
        assert_eq!(starts, ["14:00", "14:00", "14:15", "14:15"]);
        assert_eq!((told.time_zone, told.booking_fee), ("UTC".parse().unwrap(), None));
        world.run("UPDATE connectors SET status = 'UNKNOWN' WHERE connector_number = 2").await;
        process.holds.freed(world.station, second, world.now).await;
        assert_eq!(world.free(&process, "14:00", "15:00").await, "1 14:00");
    }
}

#[tokio::test]
async fn what_is_asked_is_bounded() {
    let world = World::new(true).await;
    let process = world.process();
    let unknown = world.availability(&process, json!({ "stationId": world.driver().await })).await;
    assert!(matches!(unknown.unwrap_err(), Failure::NotFound("station")));
    let field = async |asked| match world.availability(&process, asked).await.unwrap_err() {
        Failure::Invalid { field, .. } => field.into_owned(),
        failure => panic!("{failure:?}"),
    };
    assert_eq!(field(json!({ "endDate": "2026-11-28T11:00:01Z" })).await, "endDate");
    assert_eq!(field(json!({ "slotDurationMinutes": 14 })).await, "slotDurationMinutes");
    assert_eq!(field(json!({ "stationId": "1" })).await, "stationId");

    let (station, _) = world.add_station(15).await;
    let week = |length: i64| json!({ "stationId": station, "startDate": "2026-11-22", "endDate": "2026-11-28", "slotDurationMinutes": length });
    assert_eq!(field(week(15)).await, "endDate");
    assert_eq!(world.availability(&process, week(60)).await.unwrap().total, 15 * 7 * 24);
    // Nothing begins later than it can be held.
    let late = json!({ "startDate": "2026-12-21", "endDate": "2026-12-22" });
    let told = world.availability(&process, late).await.unwrap();
    assert_eq!(told.available_slots.last().unwrap().start, world.now + TimeDelta::days(30));
    let past = json!({ "startDate": "2026-11-01", "endDate": "2026-11-02" });
    assert_eq!(world.availability(&process, past).await.unwrap().total, 0);
}

#[tokio::test]
async fn a_busy_station_with_a_fee_fits_into_the_database_s_answers() {
    let world = World::new(false).await;
    let process = world.process();
    world.run("UPDATE tariffs SET booking_fee = 2.5").await;
    // Every second quarter of an hour of a month, and more holds than are told.
    let driver = world.driver().await;
    for connector in &world.connectors {
        world
            .run(&format!(
                "INSERT INTO bookings (id, user_id, station_id, connector_id, start_ts, end_ts, status, hold_token, price,
                                       currency, vat_rate, confirmed_at, correlation_id, created_at, updated_at)
                 SELECT gen_random_uuid(), '{driver}', '{}', '{connector}', start, start + interval '15 minutes',
                        'CONFIRMED', gen_random_uuid()::text, 0, 'EUR', 0, now(), gen_random_uuid(), now(), now()
                 FROM generate_series('2026-11-21T10:30:00Z', '2026-12-22T00:00:00Z', interval '30 minutes') AS start;
                 INSERT INTO slot_holds
                 SELECT 'hold-' || start || '{connector}', gen_random_uuid(), '{}', '{connector}', start,
                        start + interval '15 minutes', '2026-11-21T10:05:00Z'
                 FROM generate_series('2026-11-21T10:45:00Z', '2026-12-22T00:00:00Z', interval '30 minutes') AS start",
                world.station, world.station
            ))
            .await;
    }
    let asked = json!({ "slotDurationMinutes": 15 });
    let told = world.availability(&process, asked.clone()).await.unwrap();
    assert_eq!(
        serde_json::to_value(told.booking_fee).unwrap(),
        json!({ "amount": "2.50", "currency": "EUR" })
    );
    assert_eq!(told.total, 2, "10:15 at each");
    let me = world.driver().await;
    assert_eq!(
        crate::world::conflict(
            world.hold(&process, me, 0, "2026-12-20T10:15:00Z", "2026-12-20T10:30:00Z").await
        ),
        "SLOT_TAKEN",
        "a hold that is not told stands in the way, too"
    );
    assert_eq!(world.hold(&process, me, 0, "10:15", "10:30").await.unwrap().booking_fee, told.booking_fee);
}
