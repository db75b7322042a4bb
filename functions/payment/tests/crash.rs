//! Processes that are killed at any point: what they left behind comes to the true end, and no card is charged twice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Instant;

use axum::http::Method;
use payment::Payment;
use payment::PaymentStatus::{self, Failed, Succeeded};
use scratch::until;
use serde_json::json;
use shared::{Role, UserId};
use support::{Fault, World};
use tokio::time::timeout;

/// The end of a path, and what happens to the request.
type Step = (&'static str, Fault);

const STEPS: [Step; 4] = [
    ("/payment_intents", Fault::LostRequest),
    ("/payment_intents", Fault::LostAnswer),
    ("/confirm", Fault::LostRequest),
    ("/confirm", Fault::LostAnswer),
];
const STEPS_OF_A_DECLINE: [Step; 2] = [("/cancel", Fault::LostRequest), ("/cancel", Fault::LostAnswer)];

/// Begins a payment of 10.00, 4.00 of it from the wallet, and kills it as soon as the provider was asked that.
async fn killed(world: &World, driver: UserId, card: &str, step: &Step) -> Payment {
    let invoice = world.invoice(driver, "10.00", "EUR").await;
    let (path, fault) = step.clone();
    let struck = world.proxy.struck();
    world.proxy.fail(Method::POST, path, fault);
    let input = json!({ "invoiceId": invoice, "paymentMethod": card, "idempotencyKey": invoice });
    let strike = until("the fault", async || (world.proxy.struck() > struck).then_some(()));
    tokio::select! {
        paid = world.pay(driver, input) => panic!("not killed: {paid:?}"),
        () = strike => {}
    }
    let id = world.text(&format!("SELECT id FROM payments WHERE invoice_id = '{invoice}'")).await;
    let arguments = shared::read_fields(json!({ "id": id })).unwrap();
    payment::get(&world.payments, &world.caller(driver, Role::Driver), arguments).await.unwrap()
}

async fn end(world: &World, driver: UserId, payment: &Payment) -> PaymentStatus {
    let caller = world.caller(driver, Role::Driver);
    let payment = world.get(&caller, payment).await.unwrap();
    let invoice = payment.invoice_id.unwrap();
    let (balance, state, charges) = match payment.status {
        Succeeded => ("0.00", "PAID 10.00", (1, 600)),
        Failed => ("4.00", "PENDING 0.00", (0, 0)),
        status => panic!("{status:?} is no end"),
    };
    assert_eq!(world.balance(driver).await, balance);
    assert_eq!(world.invoice_state(invoice).await, state);
    assert_eq!(world.stripe.charges_of(payment.id).await, charges);
    payment.status
}

#[tokio::test]
async fn whoever_is_killed_between_two_steps_is_succeeded_within_minutes() {
    let mut world = World::new().await;
    for step in STEPS {
        let driver = world.driver("4.00").await;
        let payment = killed(&world, driver, "pm_card_visa", &step).await;
        world.later(3);
        world.reconcile().await;
        assert_eq!(end(&world, driver, &payment).await, Succeeded, "{step:?}");
    }
    for step in STEPS.into_iter().chain(STEPS_OF_A_DECLINE) {
        let driver = world.driver("4.00").await;
        let payment = killed(&world, driver, "pm_card_chargeCustomerFail", &step).await;
        world.later(3);
        world.reconcile().await;
        assert_eq!(end(&world, driver, &payment).await, Failed, "{step:?}");
    }
    // Nothing is left to do.
    world.later(3);
    assert_eq!(world.reconcile().await, payment::Reconciled::default());
    world.check_books().await;
}

#[tokio::test]
async fn nobody_is_charged_long_after_the_fact() {
    let mut world = World::new().await;
    for (step, expected) in STEPS.into_iter().zip([Failed, Failed, Failed, Succeeded]) {
        let driver = world.driver("4.00").await;
        let payment = killed(&world, driver, "pm_card_visa", &step).await;
        world.later(15);
        world.reconcile().await;
        assert_eq!(end(&world, driver, &payment).await, expected, "{step:?}");
    }
    world.check_books().await;
}

#[tokio::test]
async fn a_request_killed_anywhere_can_be_repeated() {
    let mut world = World::new().await;
    let unhurried = world.driver("0").await;
    let started = Instant::now();
    world.top_up(unhurried, "5.00", "pm_card_visa", "unhurried").await.unwrap();
    let whole = started.elapsed();
    let mut begun = Vec::new();
    for number in 0_u32..60 {
        let driver = world.driver("4.00").await;
        let invoice = world.invoice(driver, "10.00", "EUR").await;
        let card = if number % 3 == 2 { "pm_card_chargeCustomerFail" } else { "pm_card_visa" };
        let input = json!({ "invoiceId": invoice, "paymentMethod": card, "idempotencyKey": invoice });
        // From before the first byte until after the last.
        let survived = timeout(whole * number / 48, world.pay(driver, input.clone())).await.is_ok();
        begun.push((driver, invoice, input, survived));
    }
    assert!(begun.iter().any(|(.., survived)| !survived), "nobody was killed");
    // Some ask again, the others are looked after.
    let mut repeated = Vec::new();
    for (driver, _, input, _) in begun.iter().step_by(2) {
        let payment = world.pay(*driver, input.clone()).await.unwrap();
        assert!(payment.status.is_over(), "{payment:?}");
        repeated.push(payment.id);
    }
    world.later(3);
    world.reconcile().await;
    let open = world.text("SELECT count(*) FROM payments WHERE status NOT IN ('SUCCEEDED', 'FAILED')").await;
    assert_eq!(open, "0");
    for (driver, invoice, input, _) in begun {
        let of_invoice = format!("SELECT status || ' ' || id FROM payments WHERE invoice_id = '{invoice}'");
        let found = world.text(&of_invoice).await;
        let Some((status, id)) = found.split_once(' ') else {
            assert_eq!(world.balance(driver).await, "4.00", "killed before it began");
            continue;
        };
        let declined = input["paymentMethod"] != "pm_card_visa";
        assert_eq!(status, if declined { "FAILED" } else { "SUCCEEDED" });
        let charges = world.stripe.charges_of(id.parse().unwrap()).await;
        assert_eq!(charges, if declined { (0, 0) } else { (1, 600) });
    }
    world.check_books().await;
}
