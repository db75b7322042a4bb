//! Paying invoices and topping up, on a real database and a real localstripe: what is right, refused, declined, lost.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use axum::http::Method;
use payment::PaymentStatus::{Failed, Pending, RequiresAction, Succeeded};
use serde_json::{Value, json};
use shared::{Failure, Role};
use support::{Fault, LocalStripe, World, conflict};

fn money(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

#[tokio::test]
async fn an_invoice_is_paid_from_the_wallet_by_card_or_both() {
    let world = World::new().await;
    let driver = world.driver("10.00").await;

    // All of it from the wallet: finished at once, and nobody is asked.
    let small = world.invoice(driver, "4.00", "EUR").await;
    let input = json!({ "invoiceId": small, "idempotencyKey": "k1", "paymentMethod": "pm_card_visa" });
    let paid = world.pay(driver, input).await.unwrap();
    assert_eq!((paid.status, world.balance(driver).await.as_str()), (Succeeded, "6.00"));
    assert_eq!(serde_json::to_value(&paid).unwrap()["fromWallet"], money("4.00"));
    assert!(world.proxy.seen("").is_empty());

    // The rest of the wallet, and the card.
    let both = world.invoice(driver, "18.50", "EUR").await;
    let input = json!({ "invoiceId": both, "idempotencyKey": "k2", "paymentMethod": "pm_card_visa" });
    let paid = world.pay(driver, input).await.unwrap();
    let shown = serde_json::to_value(&paid).unwrap();
    assert_eq!(shown["status"], "SUCCEEDED");
    assert_eq!((&shown["fromWallet"], &shown["fromCard"]), (&money("6.00"), &money("12.50")));
    assert_eq!((&shown["amount"], &shown["clientSecret"]), (&money("18.50"), &Value::Null));
    assert_eq!(world.balance(driver).await, "0.00");
    assert_eq!(world.stripe.charges_of(paid.id).await, (1, 1250));

    // The card alone.
    let by_card = world.invoice(driver, "7.00", "EUR").await;
    let paid = world.pay_by(driver, by_card, "pm_card_visa").await.unwrap();
    assert_eq!(paid.status, Succeeded);

    for (invoice, state) in [(small, "PAID 4.00"), (both, "PAID 18.50"), (by_card, "PAID 7.00")] {
        assert_eq!(world.invoice_state(invoice).await, state);
    }
    let methods: Vec<_> =
        world.events("PAYMENT_COMPLETED").await.iter().map(|event| event["method"].clone()).collect();
    assert_eq!(methods, ["WALLET", "WALLET_AND_CARD", "CARD"]);
    // Every request that moves money carries the payment's own key.
    for (line, key) in world.proxy.seen("POST") {
        assert!(key.is_some(), "{line}");
    }
    world.check_books().await;
}

#[tokio::test]
async fn what_cannot_be_paid_takes_nothing() {
    let world = World::new().await;
    let (driver, other) = (world.driver("4.80").await, world.driver("0").await);
    let invoice = world.invoice(driver, "5.00", "EUR").await;
    let pay = |payer, input: Value| {
        let mut input = input;
        input["idempotencyKey"] = json!(uuid::Uuid::new_v4().to_string());
        world.pay(payer, input)
    };
    assert_eq!(conflict(pay(driver, json!({ "invoiceId": invoice })).await), "INSUFFICIENT_FUNDS");
    // Twenty cents would be left for the card.
    let with_card = json!({ "invoiceId": invoice, "paymentMethod": "pm_card_visa" });
    assert_eq!(conflict(pay(driver, with_card.clone()).await), "CARD_AMOUNT_TOO_SMALL");
    let failure = pay(other, with_card.clone()).await.unwrap_err();
    assert!(matches!(failure, Failure::NotFound("invoice")), "somebody else's: {failure}");
    let failure = pay(driver, json!({ "invoiceId": invoice, "useWallet": false })).await.unwrap_err();
    assert_eq!(failure.error_type(), "Invalid");
    let odd = world.invoice(other, "1.125", "KWD").await;
    let with_odd = json!({ "invoiceId": odd, "paymentMethod": "pm_card_visa" });
    assert_eq!(conflict(pay(other, with_odd).await), "CARD_AMOUNT_TOO_FINE");
    world.run(&format!("UPDATE users SET deleted_at = now() WHERE id = '{other}'")).await;
    assert_eq!(
        world.top_up(other, "5", "pm_card_visa", "k").await.unwrap_err().error_type(),
        "Unauthenticated"
    );

    assert_eq!(world.balance(driver).await, "4.80");
    assert_eq!(world.text("SELECT count(*) FROM payments").await, "0");
    assert!(world.stripe.intents().await.is_empty());

    assert_eq!(world.pay_by(driver, invoice, "pm_card_visa").await.unwrap().status, Succeeded);
    assert_eq!(conflict(pay(driver, with_card).await), "NOTHING_DUE");
    world.check_books().await;
}

#[tokio::test]
async fn a_declined_card_gives_the_wallets_part_back_and_the_next_card_pays() {
    let world = World::new().await;
    let driver = world.driver("3.00").await;
    let invoice = world.invoice(driver, "10.00", "EUR").await;
    let input = json!({
        "invoiceId": invoice, "paymentMethod": "pm_card_chargeCustomerFail", "idempotencyKey": "first",
    });
    let declined = world.pay(driver, input.clone()).await.unwrap();
    assert_eq!((declined.status, declined.failure_code.as_deref()), (Failed, Some("card_declined")));
    assert_eq!(
        (world.balance(driver).await.as_str(), world.invoice_state(invoice).await.as_str()),
        ("3.00", "PENDING 0.00")
    );
    // The same request has the same answer; the card is not tried again.
    assert_eq!(world.pay(driver, input).await.unwrap(), declined);
    // Nobody can go on with the intent behind our back.
    assert_eq!(world.stripe.intents().await[0]["status"], "canceled");
    let told = world.events("PAYMENT_FAILED").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["failureCode"], "card_declined");

    let input = json!({ "invoiceId": invoice, "paymentMethod": "pm_card_visa", "idempotencyKey": "second" });
    assert_eq!(world.pay(driver, input).await.unwrap().status, Succeeded);
    assert_eq!(
        (world.balance(driver).await.as_str(), world.invoice_state(invoice).await.as_str()),
        ("0.00", "PAID 10.00")
    );
    // A token that the provider does not know.
    let unknown = world.top_up(driver, "5.00", "pm_nobody", "third").await.unwrap();
    assert_eq!((unknown.status, unknown.failure_code.as_deref()), (Failed, Some("invalid_request")));
    world.check_books().await;
}

#[tokio::test]
async fn the_bank_may_ask_the_driver() {
    let mut world = World::new().await;
    let driver = world.driver("2.00").await;
    let asked = async |world: &World, declines: bool, key: &str| {
        let invoice = world.invoice(driver, "10.00", "EUR").await;
        let card = world.stripe.secure_card(declines).await;
        let input = json!({ "invoiceId": invoice, "paymentMethod": card, "idempotencyKey": key });
        let payment = world.pay(driver, input).await.unwrap();
        assert_eq!(payment.status, RequiresAction);
        (invoice, payment)
    };
    let own = world.caller(driver, Role::Driver);

    // Answered, and asked for: no webhook is needed.
    let (invoice, payment) = asked(&world, false, "a").await;
    let secret = payment.client_secret.clone().unwrap();
    assert_eq!(world.balance(driver).await, "0.00");
    assert_eq!(world.get(&own, &payment).await.unwrap(), payment);
    // With the secret one could go on: operators see the payment without, others nothing.
    let operator = world.caller(world.driver("0").await, Role::Operator);
    let seen = world.get(&operator, &payment).await.unwrap();
    assert_eq!((seen.status, seen.client_secret), (RequiresAction, None));
    let other = world.caller(world.driver("0").await, Role::Driver);
    assert!(matches!(world.get(&other, &payment).await, Err(Failure::NotFound("payment"))));
    // Meanwhile the invoice takes no other payment.
    assert_eq!(conflict(world.pay_by(driver, invoice, "pm_card_visa").await), "PAYMENT_PENDING");
    world.stripe.authenticate(&secret, true).await;
    let paid = world.get(&own, &payment).await.unwrap();
    assert_eq!((paid.status, paid.client_secret), (Succeeded, None));
    assert_eq!(world.invoice_state(invoice).await, "PAID 10.00");
    world
        .run(&format!(
            "SELECT post_wallet_entry(gen_random_uuid(), '{driver}', 2, 'EUR', 'CREDIT', '2', 's', now())"
        ))
        .await;

    // Answered wrongly: found by reconciliation.
    let (invoice, payment) = asked(&world, false, "b").await;
    world.stripe.authenticate(&payment.client_secret.clone().unwrap(), false).await;
    world.later(3);
    assert_eq!(world.reconcile().await.payments_ended, 1);
    let failed = world.get(&own, &payment).await.unwrap();
    assert_eq!(failed.failure_code.as_deref(), Some("payment_intent_authentication_failure"));
    assert_eq!(
        (world.balance(driver).await.as_str(), world.invoice_state(invoice).await.as_str()),
        ("2.00", "PENDING 0.00")
    );

    // Answered rightly, and declined then.
    let (_, payment) = asked(&world, true, "c").await;
    world.stripe.authenticate(&payment.client_secret.clone().unwrap(), true).await;
    world.later(3);
    world.reconcile().await;
    assert_eq!(world.get(&own, &payment).await.unwrap().failure_code.as_deref(), Some("card_declined"));

    // Never answered: after an hour it is too late, also at the provider.
    let (_, payment) = asked(&world, false, "d").await;
    world.later(30);
    assert_eq!(world.reconcile().await.payments_open, 1);
    world.later(31);
    assert_eq!(world.reconcile().await.payments_ended, 1);
    let own = world.caller(driver, Role::Driver);
    let expired = world.get(&own, &payment).await.unwrap();
    assert_eq!((expired.status, expired.failure_code.as_deref()), (Failed, Some("expired")));
    world.stripe.authenticate(&payment.client_secret.unwrap(), true).await;
    assert_eq!(world.stripe.charges_of(payment.id).await.0, 0);
    assert_eq!(world.balance(driver).await, "2.00");
    world.check_books().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_leaves_the_payment_open_and_the_next_look_tells_the_truth() {
    let stripe = LocalStripe::start(None).await;
    let mut world = World::with(stripe, Duration::from_secs(2)).await;
    let driver = world.driver("0").await;
    // The card was charged, and nobody heard.
    world.proxy.fail(Method::POST, "/confirm", Fault::LostAnswer);
    let payment = world.top_up(driver, "20.00", "pm_card_visa", "lost").await.unwrap();
    assert_eq!(payment.status, Pending);
    assert_eq!(world.stripe.charges_of(payment.id).await, (1, 2000));
    assert_eq!(world.balance(driver).await, "0.00");
    // The app asks again with the same key.
    let again = world.top_up(driver, "20.00", "pm_card_visa", "lost").await.unwrap();
    assert_eq!((again.id, again.status), (payment.id, Succeeded));
    assert_eq!(
        (world.balance(driver).await.as_str(), world.stripe.charges_of(payment.id).await),
        ("20.00", (1, 2000))
    );
    // Another request under that key is not this one.
    assert_eq!(
        conflict(world.top_up(driver, "21.00", "pm_card_visa", "lost").await),
        "IDEMPOTENCY_KEY_REUSED"
    );

    // An outage that says it did nothing, and did; then a provider that is out for everything.
    world.proxy.fail(
        Method::POST,
        "/confirm",
        Fault::AnswerAfter(500, json!({ "error": { "type": "api_error" } })),
    );
    let payment = world.top_up(driver, "5.00", "pm_card_visa", "outage").await.unwrap();
    assert_eq!(payment.status, Pending);
    world.later(3);
    world.proxy.fail(Method::GET, "", Fault::Answer(503, json!({})));
    assert_eq!(world.reconcile().await.payments_open, 1);
    world.later(3);
    assert_eq!(world.reconcile().await.payments_ended, 1);
    assert_eq!(world.balance(driver).await, "25.00");

    // A key of ours that the provider does not take says nothing of the payment; ten minutes later it is given up.
    world.proxy.fail(
        Method::POST,
        "/payment_intents",
        Fault::Answer(401, json!({ "error": { "type": "invalid_request_error" } })),
    );
    let payment = world.top_up(driver, "5.00", "pm_card_visa", "key").await.unwrap();
    assert_eq!(payment.status, Pending);
    world.later(11);
    world.reconcile().await;
    let given_up = world.top_up(driver, "5.00", "pm_card_visa", "key").await.unwrap();
    assert_eq!((given_up.status, given_up.failure_code.as_deref()), (Failed, Some("provider_unavailable")));
    assert_eq!(world.stripe.charges_of(payment.id).await.0, 0);
    world.check_books().await;
}

#[tokio::test]
async fn currencies_keep_to_themselves() {
    let world = World::new().await;
    let driver = world.driver("100.00").await;
    // The wallet holds euros: it pays nothing of this.
    let francs = world.invoice(driver, "9.90", "CHF").await;
    let input = json!({ "invoiceId": francs, "paymentMethod": "pm_card_visa", "idempotencyKey": "chf" });
    let paid = world.pay(driver, input).await.unwrap();
    assert_eq!((paid.status, paid.from_wallet.to_string().as_str()), (Succeeded, "0.00 CHF"));
    let yen = world.invoice(driver, "500", "JPY").await;
    let paid = world.pay_by(driver, yen, "pm_card_visa").await.unwrap();
    assert_eq!(world.stripe.charges_of(paid.id).await, (1, 500));
    assert_eq!(world.balance(driver).await, "100.00");
    let arguments = shared::read_fields(json!({ "input": {
        "amount": "50.00", "currency": "CHF", "paymentMethod": "pm_card_visa", "idempotencyKey": "k",
    } }));
    let caller = world.caller(driver, Role::Driver);
    let refused = payment::top_up(&world.payments, &caller, arguments.unwrap()).await;
    assert_eq!(conflict(refused), "CURRENCY_MISMATCH");
    world.check_books().await;
}
