use booking::{StationHours, set_station_hours};
use serde_json::{Value, json};
use shared::{Failure, Role};

use crate::world::{World, conflict};

const WEEK: [&str; 7] = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];

async fn set(world: &World, role: Role, input: Value) -> Result<StationHours, Failure> {
    let process = world.process();
    let mut input = input;
    input["reason"] = json!("as on the sign");
    if input["stationId"].is_null() {
        input["stationId"] = json!(world.station);
    }
    let request = shared::read_fields(json!({ "input": input }))?;
    set_station_hours(&process.calendars, &world.caller(world.driver().await, role), request).await
}

#[tokio::test]
async fn an_operator_sets_the_hours_and_they_hold_at_once() {
    let world = World::new(true).await;
    let process = world.process();
    let me = world.driver().await;
    assert!(world.free(&process, "11:00", "13:00").await.contains("1 12:00"));

    let hours = json!({
        "timeZone": "Europe/Berlin",
        "periods": [{ "days": WEEK, "from": "08:00", "to": "13:00" }, { "days": ["SATURDAY"], "from": "20:30", "to": "24:00" }],
    });
    let forbidden = set(&world, Role::Driver, hours.clone()).await.unwrap_err();
    assert!(matches!(forbidden, Failure::Forbidden(_)));
    let told = serde_json::to_value(set(&world, Role::Operator, hours.clone()).await.unwrap()).unwrap();
    assert_eq!((&told["periods"], &told["timeZone"]), (&hours["periods"], &hours["timeZone"]));
    assert_eq!(told["stationId"], json!(world.station));
    let audit = "SELECT action || ' ' || subject || ' ' || reason FROM audit_log ORDER BY id DESC LIMIT 1";
    assert_eq!(world.text(audit).await, format!("STATION_HOURS_SET {} as on the sign", world.station));

    // 11:00 UTC is noon in Berlin.
    assert_eq!(
        world.free(&process, "10:30", "20:31").await,
        "1 11:00, 2 11:00, 1 19:30, 2 19:30, 1 20:30, 2 20:30"
    );
    assert_eq!(conflict(world.hold(&process, me, 0, "11:30", "12:30").await), "CLOSED");
    world.hold(&process, me, 0, "11:30", "12:00").await.unwrap();

    let always = set(&world, Role::Operator, json!({ "timeZone": "UTC" })).await.unwrap();
    assert!(always.hours.periods.is_none());
    assert_eq!(world.text("SELECT count(*) FROM stations WHERE opening_periods IS NULL").await, "1");
    world.hold(&process, me, 1, "23:30", "2026-11-22T00:30:00Z").await.unwrap();
    let never = set(&world, Role::Operator, json!({ "timeZone": "UTC", "periods": [] })).await.unwrap();
    assert_eq!(never.hours.periods.as_deref(), Some(&[][..]));
    assert_eq!(world.free(&process, "11:00", "13:00").await, "");
}

#[tokio::test]
async fn hours_that_are_none_are_refused_by_their_field() {
    let world = World::new(true).await;
    let field = async |zone: &str, periods: Value| {
        let input = json!({ "timeZone": zone, "periods": periods });
        match set(&world, Role::Operator, input).await.unwrap_err() {
            Failure::Invalid { field, .. } => field.into_owned(),
            failure => panic!("{failure:?}"),
        }
    };
    let period = |from: &str, to: &str| json!({ "days": ["MONDAY"], "from": from, "to": to });
    assert_eq!(field("Mars/Olympus", json!([])).await, "input.timeZone");
    assert_eq!(field("UTC", json!([period("8:00", "9:00")])).await, "input.periods[0].from");
    assert_eq!(field("UTC", json!([period("09:00", "09:00")])).await, "input.periods[0].to");
    assert_eq!(
        field("UTC", json!([period("08:00", "10:00"), period("09:00", "11:00")])).await,
        "input.periods[1].from"
    );
    let many: Vec<_> =
        (0..22).map(|hour| period(&format!("{hour:02}:00"), &format!("{hour:02}:30"))).collect();
    assert_eq!(field("UTC", json!(many)).await, "input.periods");
    let unknown = json!({ "timeZone": "UTC", "stationId": uuid::Uuid::new_v4() });
    assert!(matches!(set(&world, Role::Operator, unknown).await.unwrap_err(), Failure::NotFound("station")));
    assert_eq!(world.text("SELECT count(*) FROM audit_log").await, "0");
}
