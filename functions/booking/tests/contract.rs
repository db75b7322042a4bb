//! What `/v1` tells of bookings is what its contract says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod desk;
#[path = "../../rest/tests/told/mod.rs"]
mod told;

use booking::{Booking, BookingState, BookingSummary, HoldToken, Released, list_bookings};
use chrono::TimeDelta;
use desk::{LocalStripe, PATIENCE, World};
use serde_json::{Value, json};
use shared::{BookingId, Failure, UserId};
use told::{refused, told};

const CONFIRM: &str = "POST /v1/bookings/confirm";
const CANCEL: &str = "POST /v1/bookings/{id}/cancel";
const LIST: &str = "GET /v1/bookings";
const RELEASE: &str = "DELETE /v1/bookings/holds/{token}";

fn summary(booking: Result<Booking, Failure>) -> Result<BookingSummary, Failure> {
    booking.and_then(BookingSummary::confirmed)
}

fn state(booking: Result<Booking, Failure>) -> Result<BookingState, Failure> {
    booking.map(BookingState::from)
}

async fn list(world: &World, driver: UserId, query: Value) -> (u16, Value) {
    let list = match shared::read_fields(query) {
        Ok(asked) => list_bookings(&world.database, &world.caller(driver), asked).await,
        Err(failure) => Err(failure),
    };
    told(LIST, list)
}

#[tokio::test]
async fn a_booking_from_its_hold_to_its_end() {
    let mut world = World::new().await;
    world.fee("2.50").await;
    let (driver, place) = (world.driver("10").await, world.place().await);
    let token = world.hold(driver, place, 120, 180).await;

    let (status, booked) = told(CONFIRM, summary(world.confirm(driver, &token, None).await));
    assert_eq!((status, &booked["status"]), (200, &json!("CONFIRMED")));
    assert_eq!(booked["endTs"], json!(world.now + TimeDelta::minutes(180)));

    for (query, told) in [
        (json!({}), json!([1, 1, 50, 0])),
        (json!({ "status": "CONFIRMED", "limit": "1", "offset": "0" }), json!([1, 1, 1, 0])),
        (json!({ "status": "NO_SHOW" }), json!([0, 0, 50, 0])),
        (json!({ "limit": "100", "offset": "10000" }), json!([0, 1, 100, 10_000])),
    ] {
        let (status, page) = list(&world, driver, query).await;
        let length = page["bookings"].as_array().unwrap().len();
        assert_eq!(status, 200);
        assert_eq!(json!([length, page["total"], page["limit"], page["offset"]]), told);
    }
    for (query, field) in [
        (json!({ "limit": "101" }), "limit"),
        (json!({ "offset": "-1" }), "offset"),
        (json!({ "status": "GONE" }), "status"),
    ] {
        let (status, error) = list(&world, driver, query).await;
        assert_eq!((status, &error["field"]), (400, &json!(field)));
    }

    let id: BookingId = serde_json::from_value(booked["id"].clone()).unwrap();
    for _ in 0..2 {
        let cancelled = told(CANCEL, state(world.cancel(driver, id).await));
        assert_eq!(cancelled, (200, json!({ "id": id, "status": "CANCELLED" })));
    }
    let (status, again) = told(CONFIRM, summary(world.confirm(driver, &token, None).await));
    assert_eq!((status, &again["id"], &again["status"]), (200, &json!(id), &json!("CANCELLED")));
    assert_eq!(told(RELEASE, Ok(Released::DONE)), (200, json!({ "released": true })));

    let begun = world.booked(driver, place, 60, 120).await;
    world.later(60);
    assert_eq!(refused(CANCEL, state(world.cancel(driver, begun.id).await)), (409, json!("BOOKING_BEGUN")));
    assert_eq!(
        refused(CANCEL, state(world.cancel(driver, BookingId::new()).await)),
        (404, json!("NOT_FOUND"))
    );
}

#[tokio::test]
async fn every_reason_not_to_book_has_its_code() {
    let mut world = World::new().await;
    world.fee("2.50").await;
    let (poor, rich, place) = (world.driver("2.49").await, world.driver("100").await, world.place().await);
    let token = world.hold(poor, place, 60, 120).await;
    let confirm = async |world: &World, driver, token: &HoldToken, card| {
        refused(CONFIRM, summary(world.confirm(driver, token, card).await))
    };
    assert_eq!(confirm(&world, poor, &token, None).await, (409, json!("INSUFFICIENT_FUNDS")));
    assert_eq!(confirm(&world, rich, &token, None).await, (404, json!("NOT_FOUND")));
    world.fee("0.20").await;
    let card = Some("pm_card_visa");
    assert_eq!(confirm(&world, poor, &token, card).await, (409, json!("CARD_AMOUNT_TOO_SMALL")));
    world.run("UPDATE tariffs SET currency = 'BHD', booking_fee = 2.505").await;
    assert_eq!(confirm(&world, poor, &token, card).await, (409, json!("CARD_AMOUNT_TOO_FINE")));
    world.run("UPDATE tariffs SET currency = 'EUR'").await;
    world.fee("2.50").await;
    world.run(&format!("UPDATE users SET wallet_currency = 'USD' WHERE id = '{poor}'")).await;
    assert_eq!(confirm(&world, poor, &token, None).await, (409, json!("CURRENCY_MISMATCH")));

    let other = world.hold(rich, place, 60, 120).await;
    world.confirm(rich, &other, None).await.unwrap();
    assert_eq!(confirm(&world, poor, &token, card).await, (409, json!("SLOT_TAKEN")));
    for hour in 2..11 {
        world.booked(rich, place, 60 * hour, 60 * hour + 60).await;
    }
    let eleventh = world.hold(rich, place, 660, 720).await;
    assert_eq!(confirm(&world, rich, &eleventh, None).await, (409, json!("TOO_MANY_BOOKINGS")));
    world.later(11);
    assert_eq!(confirm(&world, rich, &eleventh, None).await, (409, json!("HOLD_EXPIRED")));
    let nonsense =
        shared::read_fields::<booking::Confirmation>(json!({ "holdToken": "x", "paymentId": null }));
    assert_eq!(refused(CONFIRM, nonsense.map(|_| ())), (400, json!(["INVALID", "holdToken"])));
}

#[tokio::test]
async fn a_card_that_failed_is_a_refusal_however_often_it_is_asked() {
    let stripe = LocalStripe::start(None).await;
    let mut world = World::with(&stripe.url, PATIENCE, "redis://127.0.0.1:1").await;
    world.fee("2.50").await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, 120, 180).await;
    for card in ["pm_card_chargeCustomerFail", "pm_card_chargeCustomerFail", "pm_card_visa"] {
        let (status, error) = told(CONFIRM, summary(world.confirm(driver, &token, Some(card)).await));
        assert_eq!((status, &error["code"]), (409, &json!("PAYMENT_FAILED")));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("not charged (card_declined)"), "{message}");
    }
    world.run("UPDATE bookings SET reason = 'PAID_TOO_LATE'").await;
    let (_, error) = told(CONFIRM, summary(world.confirm(driver, &token, None).await));
    assert_eq!(error["code"], "PAYMENT_FAILED");
    assert!(error["message"].as_str().unwrap().contains("goes back"), "{error}");
    world.later(11);
    assert_eq!(
        refused(CONFIRM, summary(world.confirm(driver, &token, None).await)),
        (409, json!("PAYMENT_FAILED"))
    );
}

#[tokio::test]
async fn while_a_card_is_being_charged_nothing_is_cancelled() {
    let world = World::new().await;
    world.fee("2.50").await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, 120, 180).await;
    // The provider does not answer.
    let pending = told(CONFIRM, summary(world.confirm(driver, &token, Some("pm_card_visa")).await)).1;
    assert_eq!(pending["status"], "PENDING");
    let id = serde_json::from_value(pending["id"].clone()).unwrap();
    assert_eq!(refused(CANCEL, state(world.cancel(driver, id).await)), (409, json!("PAYMENT_PENDING")));
}
