//! A driver's bookings: their own, latest first, page by page.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod desk;

use booking::{list_bookings, my_bookings};
use desk::World;
use serde_json::{Value, json};
use shared::{BookingId, Failure, UserId};

async fn page(world: &World, driver: UserId, arguments: Value) -> (Vec<BookingId>, Value, bool) {
    let arguments = shared::read_fields(arguments).unwrap();
    let page = my_bookings(&world.database, &world.caller(driver), arguments).await.unwrap();
    let ids = page.edges.iter().map(|edge| edge.node.id).collect();
    (ids, json!(page.page_info.end_cursor), page.page_info.has_next_page)
}

async fn list(world: &World, driver: UserId, query: Value) -> Result<Value, Failure> {
    let list = list_bookings(&world.database, &world.caller(driver), shared::read_fields(query)?).await?;
    Ok(serde_json::to_value(list).unwrap())
}

#[tokio::test]
async fn a_driver_sees_their_own_latest_first() {
    let world = World::new().await;
    let (driver, other, place) = (world.driver("0").await, world.driver("0").await, world.place().await);
    let mut mine = Vec::new();
    for number in 0..5 {
        mine.insert(0, world.booked(driver, place, 60 + 30 * number, 80 + 30 * number).await);
    }
    let theirs = world.booked(other, place, 80, 90).await;
    world.cancel(driver, mine[2].id).await.unwrap();
    let ids: Vec<_> = mine.iter().map(|booking| booking.id).collect();

    let (first, cursor, more) = page(&world, driver, json!({ "first": 2 })).await;
    assert_eq!((&first[..], more), (&ids[..2], true));
    let (rest, _, more) = page(&world, driver, json!({ "first": 10, "after": cursor })).await;
    assert_eq!((&rest[..], more), (&ids[2..], false));
    assert_eq!(page(&world, driver, json!({ "status": "CANCELLED" })).await.0, [ids[2]]);
    assert_eq!(page(&world, other, json!({})).await.0, [theirs.id]);

    let slice = list(&world, driver, json!({ "limit": "2", "offset": "1" })).await.unwrap();
    assert_eq!(slice["total"], 5);
    let booking = &slice["bookings"][0];
    assert_eq!(booking["id"], json!(ids[1]));
    assert_eq!(
        booking.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["connectorId", "endTs", "id", "startTs", "stationId", "status"]
    );
    assert_eq!(slice["bookings"].as_array().unwrap().len(), 2);
    let none = json!({ "bookings": [], "total": 4, "limit": 50, "offset": 4 });
    assert_eq!(list(&world, driver, json!({ "status": "CONFIRMED", "offset": 4 })).await.unwrap(), none);
    assert_eq!(list(&world, driver, json!({})).await.unwrap()["bookings"].as_array().unwrap().len(), 5);
    for bad in [json!({ "limit": 0 }), json!({ "offset": -1 }), json!({ "status": "GONE" })] {
        assert_eq!(list(&world, driver, bad).await.unwrap_err().error_type(), "Invalid");
    }
}
