//! Many at once: one effect, one answer, and no money from nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashSet;

use axum::http::Method;
use futures::future::join_all;
use payment::PaymentStatus::{Pending, Succeeded};
use serde_json::json;
use shared::Failure;
use support::{Fault, World, conflict};

#[tokio::test]
async fn a_hundred_requests_with_one_key_are_one_payment() {
    let world = World::new().await;
    let driver = world.driver("4.00").await;
    let invoice = world.invoice(driver, "10.00", "EUR").await;
    let input = json!({ "invoiceId": invoice, "paymentMethod": "pm_card_visa", "idempotencyKey": "one" });
    let answers = join_all((0..100).map(|_| world.pay(driver, input.clone()))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].status, Succeeded);
    assert_eq!(world.stripe.charges_of(answers[0].id).await, (1, 600));
    assert_eq!(
        (world.balance(driver).await.as_str(), world.invoice_state(invoice).await.as_str()),
        ("0.00", "PAID 10.00")
    );
    assert_eq!(world.events("PAYMENT_COMPLETED").await.len(), 1);
    let keys: HashSet<_> =
        world.proxy.seen("POST /v1/payment_intents").into_iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), 2, "one key to create, one to confirm: {keys:?}");

    let other =
        json!({ "invoiceId": invoice, "paymentMethod": "pm_card_mastercard", "idempotencyKey": "one" });
    assert_eq!(conflict(world.pay(driver, other).await), "IDEMPOTENCY_KEY_REUSED");
    // Another driver's key of that name is another key.
    let stranger = world.driver("0").await;
    assert_eq!(world.top_up(stranger, "5.00", "pm_card_visa", "one").await.unwrap().status, Succeeded);
    world.check_books().await;
}

#[tokio::test]
async fn many_keys_for_one_invoice_pay_it_once() {
    let world = World::new().await;
    let driver = world.driver("100.00").await;
    let invoice = world.invoice(driver, "10.00", "EUR").await;
    let pay = |number: usize| {
        let mut input =
            json!({ "invoiceId": invoice, "idempotencyKey": format!("key {number}").replace(' ', "-") });
        if number.is_multiple_of(2) {
            input["paymentMethod"] = json!("pm_card_visa");
            input["useWallet"] = json!(false);
        }
        world.pay(driver, input)
    };
    let answers = join_all((0..20).map(pay)).await;
    let (paid, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(paid.len(), 1);
    for refusal in refused {
        assert!(["PAYMENT_PENDING", "NOTHING_DUE"].contains(&conflict(refusal)));
    }
    assert_eq!(world.invoice_state(invoice).await, "PAID 10.00");
    world.check_books().await;
}

#[tokio::test]
async fn a_wallet_is_spent_once_and_cards_pay_the_rest() {
    let world = World::new().await;
    let driver = world.driver("10.00").await;
    let mut invoices = Vec::new();
    for _ in 0..6 {
        invoices.push(world.invoice(driver, "4.00", "EUR").await);
    }
    let pay = |invoice| {
        world.pay(
            driver,
            json!({ "invoiceId": invoice, "paymentMethod": "pm_card_visa", "idempotencyKey": invoice }),
        )
    };
    for payment in join_all(invoices.iter().map(pay)).await {
        assert_eq!(payment.unwrap().status, Succeeded);
    }
    assert_eq!(world.balance(driver).await, "0.00");
    let charged: i64 = world
        .stripe
        .intents()
        .await
        .iter()
        .filter(|intent| intent["status"] == "succeeded")
        .map(|intent| intent["amount"].as_i64().unwrap())
        .sum();
    assert_eq!(charged, 2400 - 1000);
    world.check_books().await;
}

#[tokio::test]
async fn whoever_settles_first_settles_alone() {
    let mut world = World::new().await;
    let driver = world.driver("0").await;
    let answer = Fault::AnswerAfter(502, json!({}));
    world.proxy.fail(Method::POST, "/confirm", answer);
    let payment = world.top_up(driver, "30.00", "pm_card_visa", "k").await.unwrap();
    assert_eq!(payment.status, Pending);
    world.later(3);
    let repeat = async || drop(world.top_up(driver, "30.00", "pm_card_visa", "k").await.unwrap());
    let repeats = join_all((0..10).map(|_| repeat()));
    let reconciled = join_all((0..5).map(|_| world.reconcile()));
    tokio::join!(repeats, reconciled);
    assert_eq!(
        (world.balance(driver).await.as_str(), world.stripe.charges_of(payment.id).await),
        ("30.00", (1, 3000))
    );
    world.check_books().await;
}

#[tokio::test]
async fn refunds_that_race_give_back_no_more_than_was_paid() {
    let world = World::new().await;
    let (driver, operator) = (world.driver("0").await, world.driver("0").await);
    let invoice = world.invoice(driver, "10.00", "EUR").await;
    world.pay_by(driver, invoice, "pm_card_visa").await.unwrap();
    let refund = |number: usize| {
        let to = if number.is_multiple_of(2) { "ORIGIN" } else { "WALLET" };
        world.refund(operator, json!({ "invoiceId": invoice, "amount": "4.00", "to": to }))
    };
    let answers = join_all((0..12).map(refund)).await;
    let (given, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(given.len(), 2);
    for refusal in refused {
        assert_eq!(conflict(refusal), "REFUND_TOO_LARGE");
    }
    // One key, many times.
    let input = json!({ "invoiceId": invoice, "amount": "1.00", "idempotencyKey": "one" });
    let answers = join_all((0..20).map(|_| world.refund(operator, input.clone()))).await;
    let ids: HashSet<_> = answers.into_iter().map(|refund: Result<_, Failure>| refund.unwrap().id).collect();
    assert_eq!(ids.len(), 1);
    let by_card: i64 =
        world.stripe.refunds().await.iter().map(|refund| refund["amount"].as_i64().unwrap()).sum();
    let to_wallet: f64 = world.balance(driver).await.parse().unwrap();
    assert_eq!(by_card + (to_wallet * 100.0).round() as i64, 900);
    world.check_books().await;
}
