//! Cancelling: free in time, for half the fee later, once, and only before it begins.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod desk;

use std::sync::Arc;

use booking::{BookingStatus, booking};
use desk::{World, refusal, shown};
use serde_json::json;
use shared::{BookingId, Role};
use tokio::task::JoinSet;

#[tokio::test]
async fn an_hour_before_all_of_it_comes_back() {
    let world = World::new().await;
    world.fee("2.50").await;
    let (driver, stranger, place) = (world.driver("10").await, world.driver("0").await, world.place().await);
    let booked = world.booked(driver, place, 60, 120).await;
    assert_eq!(refusal(world.cancel(stranger, booked.id).await), "no booking");
    assert_eq!(refusal(world.cancel(driver, BookingId::new()).await), "no booking");

    let cancelled = world.cancel(driver, booked.id).await.unwrap();
    assert_eq!((cancelled.status, cancelled.reason.as_deref()), (BookingStatus::Cancelled, Some("DRIVER")));
    assert_eq!(shown(cancelled.refunded), "2.50 EUR");
    assert_eq!(world.balance(driver).await, "10.00");
    let (told, back) = (world.events("BOOKING_CANCELLED").await, world.events("PAYMENT_REFUNDED").await);
    assert_eq!((&told[0]["refunded"], &back[0]["toWallet"]), (&json!("2.50"), &json!("2.50")));
    let books = "SELECT string_agg(concat_ws(' ', kind, status, round(amount, 2)), ', ' ORDER BY amount) FROM invoices";
    assert_eq!(world.text(books).await, "CREDIT_NOTE PAID -2.50, BOOKING REFUNDED 2.50");
    assert_eq!(world.text("SELECT actor_id FROM refunds").await, driver.to_string());

    // Once more, even later: as it was. And somebody else books the time.
    assert_eq!(world.cancel(driver, booked.id).await.unwrap(), cancelled);
    assert_eq!(world.balance(driver).await, "10.00");
    world.fee("0").await;
    world.booked(stranger, place, 60, 120).await;
    world.check_books().await;
}

#[tokio::test]
async fn later_half_of_it_is_kept() {
    let mut world = World::new().await;
    world.fee("0.99").await;
    let (driver, place) = (world.driver("10").await, world.place().await);
    let booked = world.booked(driver, place, 60, 120).await;
    world.later(1);
    let cancelled = world.cancel(driver, booked.id).await.unwrap();
    assert_eq!(shown(cancelled.refunded), "0.49 EUR");
    assert_eq!(world.balance(driver).await, "9.50");
    let invoice =
        "SELECT concat_ws(' ', status, round(refunded_amount, 2)) FROM invoices WHERE kind = 'BOOKING'";
    assert_eq!(world.text(invoice).await, "PAID 0.49");
    world.check_books().await;
}

#[tokio::test]
async fn many_at_once_give_back_once() {
    let world = Arc::new(World::new().await);
    world.fee("2.50").await;
    let (driver, place) = (world.driver("10").await, world.place().await);
    let booked = world.booked(driver, place, 120, 180).await;
    let mut racing = JoinSet::new();
    for _ in 0..20 {
        let world = Arc::clone(&world);
        racing.spawn(async move { world.cancel(driver, booked.id).await.unwrap() });
    }
    let answers = racing.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(world.balance(driver).await, "10.00");
    assert_eq!(world.events("BOOKING_CANCELLED").await.len(), 1);
    assert_eq!(world.text("SELECT count(*) FROM refunds").await, "1");
    world.check_books().await;
}

#[tokio::test]
async fn what_has_begun_is_not_cancelled() {
    let mut world = World::new().await;
    world.fee("2.50").await;
    let (driver, early, place) = (world.driver("10").await, world.driver("10").await, world.place().await);
    let elsewhere = world.place().await;
    let booked = world.booked(driver, place, 30, 60).await;
    // Who charges already has begun, though the clock has not come so far.
    let charging = world.booked(early, elsewhere, 8, 60).await;
    world.session(early, elsewhere, "STARTING", 0).await;
    assert_eq!(refusal(world.cancel(early, charging.id).await), "BOOKING_BEGUN");
    world.later(30);
    assert_eq!(refusal(world.cancel(driver, booked.id).await), "BOOKING_BEGUN");
    world.later(60);
    world.mark().await;
    assert_eq!(refusal(world.cancel(driver, booked.id).await), "BOOKING_BEGUN");
    assert_eq!(world.balance(driver).await, "7.50");
    world.check_books().await;
}

#[tokio::test]
async fn what_an_operator_gave_back_is_not_given_twice() {
    let world = World::new().await;
    world.fee("2.50").await;
    let (driver, operator, place) = (world.driver("10").await, world.driver("0").await, world.place().await);
    let booked = world.booked(driver, place, 120, 180).await;
    let refund = json!({ "input": {
        "invoiceId": booked.invoice_id, "amount": "2.00", "reason": "Goodwill", "idempotencyKey": "k",
    } });
    let mut caller = world.caller(operator);
    caller.user.as_mut().unwrap().roles = vec![Role::Operator];
    payment::refund(&world.payments, &caller, shared::read_fields(refund).unwrap()).await.unwrap();
    assert_eq!(shown(world.cancel(driver, booked.id).await.unwrap().refunded), "0.50 EUR");
    assert_eq!(world.balance(driver).await, "10.00");
}

#[tokio::test]
async fn a_booking_is_shown_to_its_driver_and_to_operators() {
    let world = World::new().await;
    let (driver, stranger, place) = (world.driver("0").await, world.driver("0").await, world.place().await);
    let booked = world.booked(driver, place, 60, 120).await;
    let show = async |who, role| {
        let mut caller = world.caller(who);
        caller.user.as_mut().unwrap().roles = vec![role];
        booking(&world.database, &caller, shared::read_fields(json!({ "id": booked.id })).unwrap()).await
    };
    assert_eq!(show(driver, Role::Driver).await.unwrap(), booked);
    assert_eq!(show(stranger, Role::Operator).await.unwrap(), booked);
    assert_eq!(refusal(show(stranger, Role::Driver).await), "no booking");
}
