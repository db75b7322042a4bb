//! Holds that become bookings, paid by card: charged once, declined, and answered late.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod desk;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use booking::{Booking, BookingStatus};
use desk::{Fault, LocalStripe, PATIENCE, Proxy, World, refusal, shown};
use futures::future::join_all;
use serde_json::json;
use tokio::task::JoinSet;

struct Cards {
    world: Arc<World>,
    stripe: LocalStripe,
    /// Between us and the provider.
    proxy: Proxy,
}

async fn cards(patience: Duration) -> Cards {
    let stripe = LocalStripe::start(None).await;
    let proxy = Proxy::start(&stripe.url).await;
    let world = World::with(&proxy.url, patience, "redis://127.0.0.1:1").await;
    world.fee("2.50").await;
    Cards { world: Arc::new(world), stripe, proxy }
}

impl Cards {
    fn world(&mut self) -> &mut World {
        Arc::get_mut(&mut self.world).unwrap()
    }

    async fn charges(&self, booking: &Booking) -> (usize, i64) {
        self.stripe.charges_of(booking.payment_id.unwrap()).await
    }

    async fn invoice(&self, booking: &Booking) -> String {
        self.world
            .text(&format!(
                "SELECT concat_ws(' ', status, method, round(paid_amount, 2), round(refunded_amount, 2))
                 FROM invoices WHERE booking_id = '{}'",
                booking.id
            ))
            .await
    }
}

#[tokio::test]
async fn a_card_is_charged_once_and_the_invoice_is_paid() {
    let cards = cards(PATIENCE).await;
    let world = &cards.world;
    let (driver, place) = (world.driver("10").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    let booking = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    assert_eq!((booking.status, shown(booking.price)), (BookingStatus::Confirmed, "2.50 EUR".to_owned()));
    assert!(booking.invoice_id.is_some());
    assert_eq!(cards.invoice(&booking).await, "PAID CARD 2.50 0.00");
    assert_eq!(world.balance(driver).await, "10.00", "the wallet is left alone");
    let told = &world.events("PAYMENT_COMPLETED").await[0];
    assert_eq!((&told["method"], &told["kind"]), (&json!("CARD"), &json!("BOOKING")));

    // Asked again, many times: neither another charge nor another answer.
    let again = join_all((0..10).map(|_| world.confirm(driver, &token, Some("pm_card_visa")))).await;
    assert!(again.into_iter().all(|answer| answer.unwrap() == booking));
    assert_eq!(cards.charges(&booking).await, (1, 250));
    world.check_books().await;
}

#[tokio::test]
async fn what_the_card_paid_goes_back_to_the_card() {
    let mut cards = cards(PATIENCE).await;
    let world = &cards.world;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, 120, 180).await;
    let booking = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    let cancelled = world.cancel(driver, booking.id).await.unwrap();
    assert_eq!(
        (cancelled.status, shown(cancelled.refunded)),
        (BookingStatus::Cancelled, "2.50 EUR".to_owned())
    );
    assert_eq!(world.text("SELECT status FROM refunds").await, "PENDING");
    assert!(world.events("PAYMENT_REFUNDED").await.is_empty());

    cards.world().later(3);
    let world = &cards.world;
    assert_eq!(world.reconcile().await.refunds_ended, 1);
    let given: Vec<_> =
        cards.stripe.refunds().await.iter().map(|refund| refund["amount"].as_i64().unwrap()).collect();
    assert_eq!(given, [250]);
    assert_eq!(cards.invoice(&booking).await, "REFUNDED CARD 2.50 2.50");
    assert_eq!(world.events("PAYMENT_REFUNDED").await[0]["toCard"], "2.50");
    assert_eq!(world.balance(driver).await, "0.00");
    world.check_books().await;
}

#[tokio::test]
async fn a_declined_card_leaves_the_time_to_others() {
    let cards = cards(PATIENCE).await;
    let world = &cards.world;
    let (driver, other, place) = (world.driver("10").await, world.driver("10").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    let declined = world.confirm(driver, &token, Some("pm_card_chargeCustomerFail")).await.unwrap();
    assert_eq!(
        (declined.status, declined.reason.as_deref()),
        (BookingStatus::Cancelled, Some("card_declined"))
    );
    assert_eq!((declined.invoice_id, shown(declined.refunded)), (None, "0.00 EUR".to_owned()));
    assert_eq!(
        world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap(),
        declined,
        "the hold is spent"
    );
    let failed = world.events("PAYMENT_FAILED").await;
    assert_eq!((failed.len(), &failed[0]["bookingId"]), (1, &json!(declined.id)));
    assert_eq!(world.events("BOOKING_CANCELLED").await[0]["reason"], "card_declined");
    assert!(world.events("BOOKING_CONFIRMED").await.is_empty());

    let token = world.hold(other, place, 60, 120).await;
    assert_eq!(world.confirm(other, &token, None).await.unwrap().status, BookingStatus::Confirmed);
    world.check_books().await;
}

#[tokio::test]
async fn a_provider_that_answers_too_late_confirms_later() {
    let mut cards = cards(Duration::from_millis(700)).await;
    cards.proxy.fail(Method::POST, "/confirm", Fault::LostAnswer);
    let world = &cards.world;
    let (driver, other, place) = (world.driver("10").await, world.driver("10").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    let pending = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    assert_eq!((pending.status, cards.proxy.struck()), (BookingStatus::Pending, 1));
    // Nobody else gets the time meanwhile, it cannot be cancelled, and nobody is said to be missing.
    let theirs = world.hold(other, place, 90, 150).await;
    assert_eq!(refusal(world.confirm(other, &theirs, None).await), "SLOT_TAKEN");
    assert_eq!(refusal(world.cancel(driver, pending.id).await), "PAYMENT_PENDING");

    cards.world().later(3);
    let world = &cards.world;
    assert_eq!(world.reconcile().await.payments_ended, 1);
    assert_eq!(world.status(pending.id).await, "CONFIRMED");
    assert_eq!(
        (cards.charges(&pending).await, cards.invoice(&pending).await),
        ((1, 250), "PAID CARD 2.50 0.00".into())
    );
    let confirmed = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    assert_eq!((confirmed.id, confirmed.status), (pending.id, BookingStatus::Confirmed));
    world.check_books().await;
}

#[tokio::test]
async fn who_repeats_the_request_finishes_the_charge() {
    let cards = cards(Duration::from_millis(700)).await;
    cards.proxy.fail(Method::POST, "/confirm", Fault::LostRequest);
    let world = &cards.world;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    let pending = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    assert_eq!(pending.status, BookingStatus::Pending);
    let again = join_all((0..5).map(|_| world.confirm(driver, &token, Some("pm_card_visa")))).await;
    assert!(again.into_iter().all(|answer| answer.unwrap().id == pending.id));
    assert_eq!(world.status(pending.id).await, "CONFIRMED");
    assert_eq!(cards.charges(&pending).await, (1, 250));
    world.check_books().await;
}

#[tokio::test]
async fn a_provider_that_is_gone_costs_nobody_the_time_for_long() {
    let mut cards = cards(Duration::from_millis(700)).await;
    cards.proxy.fail(Method::POST, "/payment_intents", Fault::LostRequest);
    let world = &cards.world;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, 60, 120).await;
    let pending = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    assert_eq!(pending.status, BookingStatus::Pending);
    cards.world().later(11);
    let world = &cards.world;
    world.reconcile().await;
    let reason = format!("SELECT status || ' ' || reason FROM bookings WHERE id = '{}'", pending.id);
    assert_eq!(world.text(&reason).await, "CANCELLED provider_unavailable");
    assert_eq!(cards.charges(&pending).await, (0, 0));
    world.check_books().await;
}

/// A card whose charge is known after so many minutes, for a booking of minutes from now.
async fn paid_late(from: i64, to: i64, minutes: i64) {
    let mut cards = cards(Duration::from_millis(700)).await;
    cards.proxy.fail(Method::POST, "/confirm", Fault::LostAnswer);
    let world = &cards.world;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, from, to).await;
    let pending = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    cards.world().later(minutes);
    let world = &cards.world;
    // Still being paid for: that is for the payment to end.
    assert_eq!(world.mark().await.no_shows, 0);
    world.reconcile().await;
    let state = format!("SELECT status || ' ' || reason FROM bookings WHERE id = '{}'", pending.id);
    assert_eq!(world.text(&state).await, "CANCELLED PAID_TOO_LATE");
    assert_eq!(cards.invoice(&pending).await, "REFUNDED CARD 2.50 2.50");
    assert_eq!(cards.charges(&pending).await, (1, 250));
    let given: Vec<_> =
        cards.stripe.refunds().await.iter().map(|refund| refund["amount"].as_i64().unwrap()).collect();
    assert_eq!(given, [250]);
    world.check_books().await;
}

#[tokio::test]
async fn what_is_paid_when_its_time_is_over_goes_back() {
    paid_late(1, 16, 20).await;
}

#[tokio::test]
async fn what_is_paid_too_late_to_rely_on_goes_back() {
    paid_late(5, 65, 5).await;
}

#[tokio::test]
async fn a_time_that_has_begun_is_booked_by_a_card_that_pays_at_once() {
    let cards = cards(PATIENCE).await;
    let world = &cards.world;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let token = world.hold(driver, place, -5, 60).await;
    let booking = world.confirm(driver, &token, Some("pm_card_visa")).await.unwrap();
    assert_eq!(booking.status, BookingStatus::Confirmed);
    world.check_books().await;
}

#[tokio::test]
async fn of_ten_cards_for_the_same_time_one_is_charged() {
    let cards = cards(PATIENCE).await;
    let world = &cards.world;
    let place = world.place().await;
    let mut racing = JoinSet::new();
    for number in 0..10 {
        let driver = world.driver("0").await;
        let token = world.hold(driver, place, 60 + number, 100 + number).await;
        let world = Arc::clone(world);
        racing.spawn(async move { world.confirm(driver, &token, Some("pm_card_visa")).await });
    }
    let (booked, refused): (Vec<_>, Vec<_>) = racing.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((booked.len(), refused.len()), (1, 9));
    for failure in refused {
        assert_eq!(refusal(failure), "SLOT_TAKEN");
    }
    assert_eq!(world.text("SELECT count(*) FROM payments").await, "1");
    assert_eq!(cards.stripe.intents().await.len(), 1);
    world.check_books().await;
}

#[tokio::test]
async fn the_bank_may_ask_the_driver_while_the_time_is_kept() {
    let mut cards = cards(PATIENCE).await;
    let world = &cards.world;
    let (driver, place) = (world.driver("0").await, world.place().await);
    let card = cards.stripe.secure_card(false).await;
    let token = world.hold(driver, place, 90, 120).await;
    let asked = world.confirm(driver, &token, Some(&card)).await.unwrap();
    assert_eq!(asked.status, BookingStatus::Pending);
    let shown = payment::get(
        &world.payments,
        &world.caller(driver),
        shared::read_fields(json!({ "id": asked.payment_id })).unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(serde_json::to_value(shown.purpose).unwrap(), "BOOKING");
    assert_eq!((shown.booking_id, shown.invoice_id), (Some(asked.id), None));
    cards.stripe.authenticate(shown.client_secret.as_deref().unwrap(), true).await;
    cards.world().later(3);
    let world = &cards.world;
    world.reconcile().await;
    assert_eq!(world.status(asked.id).await, "CONFIRMED");
    world.check_books().await;
}
