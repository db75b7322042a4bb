//! Holds that become bookings, paid by wallets: once each, to the cent, and never two for one time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod desk;

use std::collections::HashSet;
use std::sync::Arc;

use booking::{BookingStatus, HoldToken, confirm};
use chrono::TimeDelta;
use desk::{World, confirmation, refusal, shown};
use futures::future::join_all;
use serde_json::json;
use shared::{Failure, Money};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_wallet_pays_for_a_hold_to_the_cent_and_once() {
    let world = World::new().await;
    world.fee("2.50").await;
    let (driver, stranger, place) = (world.driver("10").await, world.driver("10").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;

    // Whoever has seen the token does not have the hold.
    assert_eq!(refusal(world.confirm(stranger, &token, None).await), "no hold");

    let booking = world.confirm(driver, &token, None).await.unwrap();
    assert_eq!((booking.status, shown(booking.price)), (BookingStatus::Confirmed, "2.50 EUR".to_owned()));
    assert_eq!((booking.user_id, booking.connector_id), (driver, place.connector));
    assert_eq!(booking.end_ts - booking.start_ts, TimeDelta::hours(1));
    assert_eq!(world.balance(driver).await, "7.50");
    let invoice = world
        .text(
            "SELECT concat_ws(' ', kind, status, method, round(invoices.amount, 2), round(net, 2), round(vat, 2), unit,
                              description LIKE 'Booking from % to % UTC')
             FROM invoices JOIN invoice_lines ON invoice_id = invoices.id",
        )
        .await;
    assert_eq!(invoice, "BOOKING PAID WALLET 2.50 2.10 0.40 booking t");
    assert_eq!(world.text("SELECT count(*) FROM slot_holds").await, "0");
    let told = world.events("BOOKING_CONFIRMED").await;
    assert_eq!(
        (told.len(), &told[0]["bookingId"], &told[0]["price"]),
        (1, &json!(booking.id), &json!("2.50"))
    );
    assert_eq!(world.events("PAYMENT_COMPLETED").await[0]["bookingId"], json!(booking.id));

    // Asked again, by whatever would pay it: the same booking.
    for card in [None, Some("pm_card_visa")] {
        assert_eq!(world.confirm(driver, &token, card).await.unwrap(), booking);
    }
    assert_eq!(refusal(world.confirm(stranger, &token, None).await), "no hold");
    assert_eq!(world.balance(driver).await, "7.50");
    world.check_books().await;
}

#[tokio::test]
async fn what_is_free_needs_no_money() {
    let world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    let booking = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    assert_eq!(booking.status, BookingStatus::Confirmed);
    assert_eq!(
        (booking.price, booking.refunded, booking.invoice_id, booking.payment_id),
        (None, None, None, None)
    );
    assert_eq!(world.text("SELECT count(*) FROM invoices").await, "0");
    world.check_books().await;
}

#[tokio::test]
async fn of_thirty_who_want_the_same_time_one_books_and_pays() {
    let world = Arc::new(World::new().await);
    world.fee("2.50").await;
    let place = world.place().await;
    let mut racing = JoinSet::new();
    for number in 0..30 {
        let driver = world.driver("10").await;
        // All of them have the quarter of an hour from 75 in common.
        let token = world.hold(driver, place, 60 + number % 16, 90 + number).await;
        let world = Arc::clone(&world);
        racing.spawn(async move { world.confirm(driver, &token, None).await });
    }
    let (booked, refused): (Vec<_>, Vec<_>) = racing.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(booked.len(), 1);
    for failure in refused {
        assert_eq!(refusal(failure), "SLOT_TAKEN");
    }
    assert_eq!(world.text("SELECT count(*) FROM bookings").await, "1");
    assert_eq!(world.text("SELECT round(sum(wallet_balance), 2) FROM users").await, "297.50");
    // Numbers have no gap: what was refused took none.
    assert_eq!(world.text("SELECT sum(last) FROM number_series WHERE series LIKE 'INVOICE-%'").await, "1");
    world.check_books().await;
}

#[tokio::test]
async fn one_hold_confirmed_thirty_times_at_once_is_one_booking() {
    let world = Arc::new(World::new().await);
    world.fee("2.50").await;
    let (driver, place) = (world.driver("10").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    let mut racing = JoinSet::new();
    for _ in 0..30 {
        let (world, token) = (Arc::clone(&world), token.clone());
        racing.spawn(async move { world.confirm(driver, &token, None).await.unwrap().id });
    }
    let ids: HashSet<_> = racing.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(world.balance(driver).await, "7.50");
    assert_eq!(world.events("BOOKING_CONFIRMED").await.len(), 1);
    world.check_books().await;
}

#[tokio::test]
async fn what_cannot_be_booked_writes_nothing_and_keeps_the_hold() {
    let mut world = World::new().await;
    world.fee("2.50").await;
    let (driver, place) = (world.driver("2.49").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    assert_eq!(refusal(world.confirm(driver, &token, None).await), "INSUFFICIENT_FUNDS");
    // Less than a card can be charged.
    world.fee("0.20").await;
    assert_eq!(refusal(world.confirm(driver, &token, Some("pm_card_visa")).await), "CARD_AMOUNT_TOO_SMALL");
    world.fee("2.50").await;
    world.run(&format!("UPDATE users SET wallet_currency = 'USD' WHERE id = '{driver}'")).await;
    assert_eq!(refusal(world.confirm(driver, &token, None).await), "CURRENCY_MISMATCH");
    world.run(&format!("UPDATE users SET wallet_currency = 'EUR' WHERE id = '{driver}'")).await;
    assert_eq!(world.text("SELECT count(*) FROM bookings").await, "0");
    assert_eq!(world.text("SELECT count(*) FROM outbox").await, "0");
    assert_eq!(world.text("SELECT count(*) FROM slot_holds").await, "1");

    world.top_up(driver, "0.01").await;
    assert_eq!(world.confirm(driver, &token, None).await.unwrap().status, BookingStatus::Confirmed);
    assert_eq!(world.balance(driver).await, "0.00");

    // One that never was: Redis, which is gone, may have it, until the database must have heard of it.
    world.fee("0").await;
    let never = HoldToken::new(world.now);
    assert!(matches!(world.confirm(driver, &never, None).await, Err(Failure::Unavailable(_))));
    world.later(1);
    assert_eq!(refusal(world.confirm(driver, &never, None).await), "no hold");
    // One that has lapsed, and one so old that it must have.
    let (lapsed, old) = (world.hold(driver, place, 180, 240).await, HoldToken::new(world.now));
    world.later(10);
    assert_eq!(refusal(world.confirm(driver, &lapsed, None).await), "HOLD_EXPIRED");
    assert_eq!(refusal(world.confirm(driver, &old, None).await), "HOLD_EXPIRED");
    let gone = world.driver("0").await;
    let token = world.hold(gone, place, 180, 240).await;
    world.run(&format!("UPDATE users SET deleted_at = now() WHERE id = '{gone}'")).await;
    let failure = world.confirm(gone, &token, None).await.unwrap_err();
    assert_eq!(failure.error_type(), "Unauthenticated");
    world.check_books().await;
}

#[tokio::test]
async fn no_driver_has_more_than_ten_bookings_ahead() {
    let world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    for number in 0..9 {
        world.booked(driver, place, 60 + 20 * number, 80 + 20 * number).await;
    }
    let holds =
        join_all((9..19).map(|number| world.hold(driver, place, 60 + 20 * number, 80 + 20 * number))).await;
    let answers = join_all(holds.iter().map(|token| world.confirm(driver, token, None))).await;
    let (booked, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(booked.len(), 1);
    for failure in refused {
        assert_eq!(refusal(failure), "TOO_MANY_BOOKINGS");
    }
    // A cancelled one makes room.
    world.cancel(driver, booked[0].as_ref().unwrap().id).await.unwrap();
    let token = world.hold(driver, place, 600, 620).await;
    assert!(world.confirm(driver, &token, None).await.is_ok());
    world.check_books().await;
}

#[tokio::test]
async fn a_fee_is_divided_into_net_and_vat_by_the_coin() {
    let world = World::new().await;
    let (driver, place) = (world.driver("100").await, world.place().await);
    for (number, (fee, net, vat)) in [
        ("0.01", "0.01", "0.00"),
        ("0.99", "0.83", "0.16"),
        ("1.00", "0.84", "0.16"),
        ("7.77", "6.53", "1.24"),
    ]
    .into_iter()
    .enumerate()
    {
        world.fee(fee).await;
        let from = 60 + 30 * i64::try_from(number).unwrap();
        let booking = world.booked(driver, place, from, from + 30).await;
        assert_eq!(booking.price.map(Money::amount).unwrap().to_string(), fee);
        let parts = format!(
            "SELECT concat_ws(' ', round(net, 2), round(vat, 2)) FROM invoices WHERE booking_id = '{}'",
            booking.id
        );
        assert_eq!(world.text(&parts).await, format!("{net} {vat}"));
    }
    world.check_books().await;
}

#[tokio::test]
async fn an_account_with_a_booking_ahead_is_not_deleted() {
    let mut world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let booking = world.booked(driver, place, 60, 120).await;
    let delete = format!(
        "SELECT delete_account('{driver}', '-', true, gen_random_uuid(), now(), gen_random_uuid())->'outcome'->>'obstacle'"
    );
    assert_eq!(world.text(&delete).await, "BOOKING_OPEN");
    world.later(1);
    world.cancel(driver, booking.id).await.unwrap();
    assert_eq!(world.text(&delete).await, "");
}

#[tokio::test]
async fn nobody_confirms_without_an_account() {
    let world = World::new().await;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    let mut caller = world.caller(driver);
    caller.user = None;
    let answer = confirm(&world.desk, &world.payments, &caller, confirmation(&token, None)).await;
    assert!(matches!(answer, Err(Failure::Unauthenticated(_))));
}
