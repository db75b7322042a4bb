//! Giving money back: to where it came from, to the wallet, and what happens when a card does not take it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::http::Method;
use payment::RefundStatus::{Held, Pending, Succeeded, ToWallet};
use payment::{Hint, settle};
use scratch::until;
use serde_json::{Value, json};
use shared::{InvoiceId, Role};
use support::{Fault, World, conflict, paid, send_back};

/// A request, and what happens to it.
type Case = (Method, &'static str, Fault);

/// `HELD declined`: how far a refund is, and why no further.
async fn refund_state(world: &World, refund: &payment::Refund) -> String {
    let state = "SELECT concat_ws(' ', status, failure_code) FROM refunds";
    world.text(&format!("{state} WHERE id = '{}'", refund.id)).await
}

fn parts(refund: &payment::Refund) -> [String; 2] {
    [refund.to_card.amount().to_string(), refund.to_wallet.amount().to_string()]
}

#[tokio::test]
async fn what_the_card_paid_goes_back_to_the_card_first() {
    let world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "3.00").await;
    let first = world.refund(operator, json!({ "invoiceId": invoice, "amount": "5.00" })).await.unwrap();
    assert_eq!((first.status, parts(&first)), (Succeeded, ["5.00".into(), "0.00".into()]));
    // Two are left of the card's seven.
    let second = world.refund(operator, json!({ "invoiceId": invoice, "amount": "4.5" })).await.unwrap();
    assert_eq!((second.status, parts(&second)), (Succeeded, ["2.00".into(), "2.50".into()]));
    assert_eq!(world.balance(driver).await, "2.50");
    let too_much = world.refund(operator, json!({ "invoiceId": invoice, "amount": "0.51" })).await;
    assert_eq!(conflict(too_much), "REFUND_TOO_LARGE");
    let fine = world.refund(operator, json!({ "invoiceId": invoice, "amount": "0.001" })).await.unwrap_err();
    assert_eq!(fine.to_string(), "input.amount: has more decimals than the invoice's currency");
    // All that is left.
    let last = world.refund(operator, json!({ "invoiceId": invoice })).await.unwrap();
    assert_eq!((last.status, parts(&last)), (Succeeded, ["0.00".into(), "0.50".into()]));
    assert_eq!(conflict(world.refund(operator, json!({ "invoiceId": invoice })).await), "NOTHING_TO_REFUND");
    assert_eq!(world.invoice_state(invoice).await, "REFUNDED 10.00");

    let amounts: Vec<_> =
        world.stripe.refunds().await.iter().map(|refund| refund["amount"].as_i64()).collect();
    assert_eq!(amounts.iter().flatten().sum::<i64>(), 700);
    assert_eq!(world.events("PAYMENT_REFUNDED").await.len(), 3);
    let credit_notes =
        format!("SELECT round(sum(amount), 2) FROM invoices WHERE corrects_invoice_id = '{invoice}'");
    assert_eq!(world.text(&credit_notes).await, "-10.00");
    let audited =
        format!("SELECT string_agg(reason, '; ' ORDER BY id) FROM audit_log WHERE subject = '{invoice}'");
    assert_eq!(world.text(&audited).await, "5.00 EUR: Goodwill; 4.50 EUR: Goodwill; 0.50 EUR: Goodwill");
    // A credit note is nothing to give back.
    let note = json!({ "invoiceId": first.credit_note_id });
    assert_eq!(conflict(world.refund(operator, note).await), "NOTHING_TO_REFUND");
    world.check_books().await;
}

#[tokio::test]
async fn only_operators_refund_with_a_reason_and_once_a_key() {
    let world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let arguments = |reason: &str| {
        let input =
            json!({ "invoiceId": invoice, "amount": "1.00", "reason": reason, "idempotencyKey": "k" });
        shared::read_fields(json!({ "input": input }))
    };
    let refund = async |user, role, reason: &str| {
        payment::refund(&world.payments, &world.caller(user, role), arguments(reason)?).await
    };
    for role in [Role::Driver, Role::Vendor] {
        assert_eq!(refund(driver, role, "x").await.unwrap_err().error_type(), "Forbidden");
    }
    assert_eq!(refund(operator, Role::Operator, " ").await.unwrap_err().error_type(), "Invalid");
    let with_card = refund(operator, Role::Operator, "card 4242 4242 4242 4242").await.unwrap_err();
    assert_eq!(with_card.to_string(), "input.reason: must not hold a card number");
    let first = refund(operator, Role::Operator, "broken").await.unwrap();
    assert_eq!(refund(operator, Role::Operator, "broken").await.unwrap(), first);
    assert_eq!(conflict(refund(operator, Role::Operator, "other").await), "IDEMPOTENCY_KEY_REUSED");
    let unknown = json!({ "invoiceId": InvoiceId::new() });
    assert_eq!(world.refund(operator, unknown).await.unwrap_err().error_type(), "NotFound");
    assert_eq!(world.stripe.refunds().await.len(), 1);
    world.check_books().await;
}

#[tokio::test]
async fn what_a_card_does_not_take_goes_to_the_wallet() {
    let world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let refusal = json!({ "error": { "type": "invalid_request_error", "code": "charge_not_refundable" } });
    world.proxy.fail(Method::POST, "/refunds", Fault::Answer(400, refusal));
    let refund = world.refund(operator, json!({ "invoiceId": invoice, "amount": "4.00" })).await.unwrap();
    assert_eq!((refund.status, parts(&refund)), (ToWallet, ["0.00".into(), "4.00".into()]));
    assert_eq!((world.balance(driver).await.as_str(), world.stripe.refunds().await.len()), ("4.00", 0));

    // Taken at first, and weeks later sent back by the bank.
    let taken = world.refund(operator, json!({ "invoiceId": invoice, "amount": "5.00" })).await.unwrap();
    assert_eq!(taken.status, Succeeded);
    let card_refund =
        world.text(&format!("SELECT provider_ref FROM refunds WHERE id = '{}'", taken.id)).await;
    let hint = |event: &str| -> Hint {
        let hint = json!({
            "eventId": event, "eventType": "refund.failed", "refundId": card_refund,
            "correlationId": "018f4c6e-2a8b-7c11-9d52-3f6b1f0a7c44",
        });
        serde_json::from_value(hint).unwrap()
    };
    settle(&world.payments, &hint("evt_updated"), world.now).await.unwrap();
    assert_eq!(world.balance(driver).await, "4.00");
    for event in ["evt_failed", "evt_failed", "evt_failed_again"] {
        let failed =
            json!({ "id": card_refund, "status": "failed", "failure_reason": "lost_or_stolen_card" });
        let end: &'static str = Box::leak(card_refund.clone().into_boxed_str());
        world.proxy.fail(Method::GET, end, Fault::Answer(200, failed));
        settle(&world.payments, &hint(event), world.now).await.unwrap();
    }
    assert_eq!(world.balance(driver).await, "9.00");
    let told = world.events("PAYMENT_REFUNDED").await;
    let wallets: Vec<_> = told.iter().map(|event| event["toWallet"].clone()).collect();
    assert_eq!(wallets, ["4.00", "0.00", "5.00"]);
    world.check_books().await;
}

#[tokio::test]
async fn where_the_money_is_unknown_people_decide() {
    let mut world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let refusal =
        || json!({ "error": { "type": "invalid_request_error", "code": "charge_already_refunded" } });
    world.proxy.fail(Method::POST, "/refunds", Fault::Answer(400, refusal()));
    let held = world.refund(operator, json!({ "invoiceId": invoice, "amount": "4.00" })).await.unwrap();
    assert_eq!((held.status, world.balance(driver).await.as_str()), (Held, "0.00"));
    world.later(30);
    assert_eq!(world.reconcile().await, payment::Reconciled::default(), "once a day is enough");
    world.later(24 * 60);
    assert_eq!(world.reconcile().await.refunds_ended, 1);

    // A card that paid francs, and a wallet of euros that cannot hold them.
    let francs = world.invoice(driver, "8.00", "CHF").await;
    world.pay_by(driver, francs, "pm_card_visa").await.unwrap();
    let to_wallet = json!({ "invoiceId": francs, "to": "WALLET" });
    assert_eq!(conflict(world.refund(operator, to_wallet).await), "CURRENCY_MISMATCH");
    let refusal = json!({ "error": { "type": "invalid_request_error", "code": "charge_not_refundable" } });
    world.proxy.fail(Method::POST, "/refunds", Fault::Answer(400, refusal));
    let held = world.refund(operator, json!({ "invoiceId": francs })).await.unwrap();
    assert_eq!((held.status, world.balance(driver).await.as_str()), (Held, "0.00"));

    // Nobody could spend from the wallet of an account that is gone; its card still gets its money.
    let (gone, operator, invoice) = paid(&world, "4.00").await;
    world.run(&format!("UPDATE users SET deleted_at = now() WHERE id = '{gone}'")).await;
    assert_eq!(conflict(world.refund(operator, json!({ "invoiceId": invoice })).await), "ACCOUNT_DELETED");
    let refund = world.refund(operator, json!({ "invoiceId": invoice, "amount": "6.00" })).await.unwrap();
    assert_eq!(refund.status, Succeeded);
    world.check_books().await;
}

#[tokio::test]
async fn a_refund_that_was_killed_or_not_answered_is_given_once() {
    let mut world = World::new().await;
    let faults: [Case; 5] = [
        (Method::GET, "/refunds", Fault::LostRequest),
        (Method::POST, "/refunds", Fault::LostRequest),
        (Method::POST, "/refunds", Fault::LostAnswer),
        (Method::POST, "/refunds", Fault::AnswerAfter(500, json!({ "error": { "type": "api_error" } }))),
        (Method::POST, "/refunds", Fault::Answer(409, json!({ "error": { "type": "idempotency_error" } }))),
    ];
    for (number, (method, path, fault)) in faults.into_iter().enumerate() {
        let (driver, operator, invoice) = paid(&world, "4.00").await;
        let input = json!({ "invoiceId": invoice, "amount": "8.00", "idempotencyKey": invoice });
        let struck = world.proxy.struck();
        world.proxy.fail(method, path, fault);
        let strike = until("the fault", async || (world.proxy.struck() > struck).then_some(()));
        tokio::select! {
            refund = world.refund(operator, input.clone()) => assert_eq!(refund.unwrap().status, Pending),
            () = strike => {}
        }
        // The wallet's part is there at once; whoever asks again at once does not ask the provider at the same time.
        assert_eq!(world.balance(driver).await, "2.00");
        assert_eq!(world.refund(operator, input.clone()).await.unwrap().status, Pending);
        world.later(3);
        let refund = if number % 2 == 0 {
            assert_eq!(world.reconcile().await.refunds_ended, 1);
            world.refund(operator, input).await.unwrap()
        } else {
            world.refund(operator, input).await.unwrap()
        };
        assert_eq!((refund.status, parts(&refund)), (Succeeded, ["6.00".into(), "2.00".into()]));
        let id = refund.id.to_string();
        let given: Vec<Value> = world.stripe.refunds().await;
        let given: Vec<_> =
            given.iter().filter(|given| given["metadata"]["refund_id"] == id.as_str()).collect();
        assert_eq!(given.len(), 1, "{number}");
    }
    world.check_books().await;
}

#[tokio::test]
async fn a_lookup_that_is_refused_says_nothing_of_the_money() {
    let mut world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let missing = || json!({ "error": { "type": "invalid_request_error", "code": "resource_missing" } });
    // Given, and the answer lost; then the wrong account's key.
    world.proxy.fail(Method::POST, "/refunds", Fault::AnswerAfter(502, json!({})));
    let refund = world.refund(operator, json!({ "invoiceId": invoice, "amount": "4.00" })).await.unwrap();
    world.later(3);
    world.proxy.fail(Method::GET, "/refunds", Fault::Answer(404, missing()));
    assert_eq!(world.reconcile().await.refunds_open, 1);
    assert_eq!(
        (refund_state(&world, &refund).await.as_str(), &*world.balance(driver).await),
        ("PENDING", "0.00")
    );
    world.later(3);
    assert_eq!(world.reconcile().await.refunds_ended, 1);
    assert_eq!(refund_state(&world, &refund).await, "SUCCEEDED");

    // Likewise where nothing was given yet: the operator hears that it is underway.
    world.proxy.fail(Method::GET, "/refunds", Fault::Answer(400, missing()));
    let refund = world.refund(operator, json!({ "invoiceId": invoice, "amount": "5.00" })).await.unwrap();
    assert_eq!((refund.status, &*world.balance(driver).await), (Pending, "0.00"));
    world.later(3);
    assert_eq!(world.reconcile().await.refunds_ended, 1);
    assert_eq!((world.stripe.refunds().await.len(), &*world.balance(driver).await), (2, "0.00"));
    world.check_books().await;
}

#[tokio::test]
async fn a_refusal_that_is_not_the_cards_moves_nothing_to_the_wallet() {
    let mut world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let codes = [
        Some("resource_missing"),
        Some("parameter_invalid_integer"),
        Some("charge_disputed"),
        Some("balance_insufficient"),
        Some("a_code_of_tomorrow"),
        None,
    ];
    for code in codes {
        let refusal = json!({ "error": { "type": "invalid_request_error", "code": code } });
        world.proxy.fail(Method::POST, "/refunds", Fault::Answer(400, refusal));
        let held = world.refund(operator, json!({ "invoiceId": invoice, "amount": "1.00" })).await.unwrap();
        assert_eq!(held.status, Held, "{code:?}");
        let state = format!("HELD {}", code.unwrap_or("invalid_request"));
        assert_eq!(refund_state(&world, &held).await, state);
    }
    assert_eq!(world.balance(driver).await, "0.00");
    world.later(24 * 60);
    assert_eq!(world.reconcile().await.refunds_ended, 6);
    assert_eq!((world.stripe.refunds().await.len(), &*world.balance(driver).await), (6, "0.00"));
    world.check_books().await;
}

#[tokio::test]
async fn what_comes_back_and_no_wallet_can_take_waits_for_people() {
    let mut world = World::new().await;
    // A card that paid francs, and a wallet of euros.
    let (driver, operator, _) = paid(&world, "0").await;
    let invoice = world.invoice(driver, "8.00", "CHF").await;
    world.pay_by(driver, invoice, "pm_card_visa").await.unwrap();
    let francs = world.refund(operator, json!({ "invoiceId": invoice })).await.unwrap();
    // An account that went after its card had got the money.
    let (gone, _, invoice) = paid(&world, "0").await;
    let late = world.refund(operator, json!({ "invoiceId": invoice, "amount": "6.00" })).await.unwrap();
    let delete = format!("UPDATE users SET deleted_at = now() WHERE id = '{gone}'");
    world.run(&delete).await;
    // A bank that sends it back because it took the money itself, for the driver.
    let (disputed, _, invoice) = paid(&world, "0").await;
    let dispute = world.refund(operator, json!({ "invoiceId": invoice })).await.unwrap();
    let all = [
        (&francs, "lost_or_stolen_card", driver),
        (&late, "expired_or_canceled_card", gone),
        (&dispute, "charge_for_pending_refund_disputed", disputed),
    ];
    for (refund, reason, user) in all {
        assert_eq!(refund.status, Succeeded);
        for event in ["failed", "failed_again"] {
            send_back(&world, refund, &format!("evt_{event}_{reason}"), reason).await;
            assert_eq!(refund_state(&world, refund).await, format!("HELD {reason}"));
        }
        assert_eq!(world.balance(user).await, "0.00");
    }
    world.later(30);
    assert_eq!(world.reconcile().await, payment::Reconciled::default(), "once a day is enough");
    world.later(24 * 60);
    let looked = world.reconcile().await;
    assert_eq!(looked.refunds_open + looked.refunds_ended, 3);

    // A card that refuses at once, of an account that is gone already.
    let more = json!({ "invoiceId": late.invoice_id, "amount": "1.00" });
    let refusal = json!({ "error": { "type": "invalid_request_error", "code": "charge_not_refundable" } });
    world.proxy.fail(Method::POST, "/refunds", Fault::Answer(400, refusal));
    let held = world.refund(operator, more).await.unwrap();
    assert_eq!((held.status, &*world.balance(gone).await), (Held, "0.00"));
    world.check_books().await;
}

#[tokio::test]
async fn what_nobody_paid_yet_is_credited_and_moves_no_money() {
    let world = World::new().await;
    let (driver, operator) = (world.driver("3.00").await, world.driver("0").await);
    let invoice = world.invoice(driver, "10.00", "EUR").await;
    let too_much = world.refund(operator, json!({ "invoiceId": invoice, "amount": "10.01" })).await;
    assert_eq!(conflict(too_much), "REFUND_TOO_LARGE");
    let first = world.refund(operator, json!({ "invoiceId": invoice, "amount": "4.00" })).await.unwrap();
    assert_eq!((first.status, parts(&first)), (Succeeded, ["0.00".into(), "0.00".into()]));
    assert_eq!(first.amount.amount().to_string(), "4.00");
    assert_eq!(world.invoice_state(invoice).await, "PENDING 0.00");
    assert_eq!((world.events("PAYMENT_REFUNDED").await.len(), &*world.balance(driver).await), (0, "3.00"));
    // What is left is paid, and given back to where it came from.
    let payment = world.pay_by(driver, invoice, "pm_card_visa").await.unwrap();
    assert_eq!(world.stripe.charges_of(payment.id).await, (1, 600));
    assert_eq!(world.invoice_state(invoice).await, "PAID 6.00");
    let told = world.events("PAYMENT_COMPLETED").await;
    assert_eq!(told.last().unwrap()["amount"], "6.00");
    let rest = world.refund(operator, json!({ "invoiceId": invoice })).await.unwrap();
    assert_eq!((rest.status, parts(&rest)), (Succeeded, ["6.00".into(), "0.00".into()]));
    assert_eq!(world.invoice_state(invoice).await, "REFUNDED 6.00");

    // All of one, in a currency that the wallet does not hold.
    let wrong = world.invoice(driver, "8.00", "CHF").await;
    let all = world.refund(operator, json!({ "invoiceId": wrong })).await.unwrap();
    assert_eq!((all.status, parts(&all)), (Succeeded, ["0.00".into(), "0.00".into()]));
    assert_eq!(world.invoice_state(wrong).await, "REFUNDED 0.00");
    assert_eq!(conflict(world.pay_by(driver, wrong, "pm_card_visa").await), "NOTHING_DUE");
    assert_eq!(conflict(world.refund(operator, json!({ "invoiceId": wrong })).await), "NOTHING_TO_REFUND");

    // A payment that is underway would pay what is not due any more.
    let paying = world.invoice(driver, "5.00", "EUR").await;
    let card = world.stripe.secure_card(false).await;
    let payment = world.pay_by(driver, paying, &card).await.unwrap();
    assert_eq!(conflict(world.refund(operator, json!({ "invoiceId": paying })).await), "PAYMENT_PENDING");
    world.stripe.authenticate(&payment.client_secret.unwrap(), true).await;
    world.check_books().await;
}
