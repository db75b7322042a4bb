//! Refunds whose card's part the provider left open: an operator finds out where the money is, and says so.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use axum::http::Method;
use payment::Refund;
use payment::RefundStatus::{Held, Succeeded, ToWallet};
use serde_json::json;
use shared::{InvoiceId, RefundId, Role, UserId};
use support::{Fault, World, conflict, paid, send_back};

/// A refund of 4.00 that the provider refuses because of a dispute.
async fn held(world: &World, operator: UserId, invoice: InvoiceId) -> Refund {
    let refusal = json!({ "error": { "type": "invalid_request_error", "code": "charge_disputed" } });
    world.proxy.fail(Method::POST, "/refunds", Fault::Answer(400, refusal));
    let refund = world.refund(operator, json!({ "invoiceId": invoice, "amount": "4.00" })).await.unwrap();
    assert_eq!((refund.status, refund.failure_code.as_deref()), (Held, Some("charge_disputed")));
    refund
}

/// `REFUND_HELD by -: …`, oldest first.
async fn audited(world: &World, invoice: InvoiceId) -> String {
    world
        .text(&format!(
            "SELECT string_agg(action || ' by ' || COALESCE(actor_id::text, '-') || ': ' || reason, E'\\n' ORDER BY id)
             FROM audit_log WHERE subject = '{invoice}' AND action <> 'INVOICE_REFUNDED'"
        ))
        .await
}

#[tokio::test]
async fn the_wallet_gets_it_once_by_an_operators_word() {
    let mut world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let refund = held(&world, operator, invoice).await;
    let settled = world.settle_refund(operator, &refund, "TO_WALLET").await.unwrap();
    assert_eq!((settled.status, settled.to_wallet.amount().to_string()), (ToWallet, "4.00".to_owned()));
    assert_eq!(world.settle_refund(operator, &refund, "TO_WALLET").await.unwrap(), settled);
    assert_eq!(conflict(world.settle_refund(operator, &refund, "GIVEN_BACK").await), "REFUND_NOT_HELD");
    assert_eq!(world.balance(driver).await, "4.00");
    world.later(24 * 60);
    assert_eq!(world.reconcile().await, payment::Reconciled::default());
    assert_eq!(world.stripe.refunds().await.len(), 0);

    let told = world.events("PAYMENT_REFUNDED").await;
    assert_eq!((told.len(), &told[0]["toWallet"], &told[0]["toCard"]), (1, &json!("4.00"), &json!("0.00")));
    let expected = format!(
        "REFUND_HELD by -: refund {id}, 4.00 EUR: charge_disputed\n\
         REFUND_SETTLED by {operator}: refund {id}, 4.00 EUR, TO_WALLET: The bank says so",
        id = refund.id
    );
    assert_eq!(audited(&world, invoice).await, expected);
    world.check_books().await;
}

#[tokio::test]
async fn what_the_provider_says_later_changes_nothing() {
    let mut world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let refund = world.refund(operator, json!({ "invoiceId": invoice })).await.unwrap();
    for event in ["evt_disputed", "evt_disputed_again"] {
        send_back(&world, &refund, event, "charge_for_pending_refund_disputed").await;
    }
    world.later(1);
    let settled = world.settle_refund(operator, &refund, "GIVEN_BACK").await.unwrap();
    assert_eq!((settled.status, settled.to_card.amount().to_string()), (Succeeded, "10.00".to_owned()));
    // By itself this would go to the wallet.
    send_back(&world, &refund, "evt_closed", "expired_or_canceled_card").await;
    assert_eq!(world.balance(driver).await, "0.00");
    assert_eq!(audited(&world, invoice).await.lines().count(), 2, "held once, settled once");
    world.check_books().await;
}

#[tokio::test]
async fn while_the_provider_may_be_giving_it_nobody_else_does() {
    let mut world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let refund = held(&world, operator, invoice).await;
    world.later(24 * 60);
    // Given, and the answer lost: what the operator found out is true no longer.
    world.proxy.fail(Method::POST, "/refunds", Fault::AnswerAfter(502, json!({})));
    assert_eq!(world.reconcile().await.refunds_open, 1);
    world.later(1);
    assert_eq!(conflict(world.settle_refund(operator, &refund, "TO_WALLET").await), "REFUND_NOT_HELD");
    world.later(2);
    assert_eq!(world.reconcile().await.refunds_ended, 1);
    assert_eq!((world.stripe.refunds().await.len(), &*world.balance(driver).await), (1, "0.00"));

    // Refused again for the same reason: held again, and not told anew.
    let again = held(&world, operator, invoice).await;
    for _ in 0..2 {
        world.later(24 * 60 + 1);
        let refusal = json!({ "error": { "type": "invalid_request_error", "code": "charge_disputed" } });
        world.proxy.fail(Method::POST, "/refunds", Fault::Answer(400, refusal));
        assert_eq!(world.reconcile().await.refunds_open, 1);
    }
    assert_eq!(world.settle_refund(operator, &again, "TO_WALLET").await.unwrap().status, ToWallet);
    assert_eq!(world.balance(driver).await, "4.00");
    let told = audited(&world, invoice).await;
    assert_eq!(told.lines().count(), 3, "{told}");
    world.check_books().await;
}

#[tokio::test]
async fn a_wallet_that_cannot_take_it_is_refused() {
    let mut world = World::new().await;
    let (driver, operator, _) = paid(&world, "0").await;
    let francs = world.invoice(driver, "8.00", "CHF").await;
    world.pay_by(driver, francs, "pm_card_visa").await.unwrap();
    let francs = held(&world, operator, francs).await;
    let (gone, _, invoice) = paid(&world, "0").await;
    let late = held(&world, operator, invoice).await;
    world.run(&format!("UPDATE users SET deleted_at = now() WHERE id = '{gone}'")).await;
    world.later(1);
    for (refund, refusal) in [(&francs, "CURRENCY_MISMATCH"), (&late, "ACCOUNT_DELETED")] {
        assert_eq!(conflict(world.settle_refund(operator, refund, "TO_WALLET").await), refusal);
        let settled = world.settle_refund(operator, refund, "GIVEN_BACK").await.unwrap();
        assert_eq!(settled.status, Succeeded);
    }
    world.check_books().await;
}

#[tokio::test]
async fn of_two_operators_who_disagree_one_decides() {
    let world = World::new().await;
    for _ in 0..5 {
        let (driver, operator, invoice) = paid(&world, "0").await;
        let refund = held(&world, operator, invoice).await;
        let (to_wallet, given_back) = tokio::join!(
            world.settle_refund(operator, &refund, "TO_WALLET"),
            world.settle_refund(operator, &refund, "GIVEN_BACK"),
        );
        let balance = if to_wallet.is_ok() { "4.00" } else { "0.00" };
        assert_eq!(world.balance(driver).await, balance);
        let refused = if to_wallet.is_ok() { given_back } else { to_wallet };
        assert_eq!(conflict(refused), "REFUND_NOT_HELD");
    }
    world.check_books().await;
}

#[tokio::test]
async fn only_operators_settle_what_is_held() {
    let world = World::new().await;
    let (driver, operator, invoice) = paid(&world, "0").await;
    let done = world.refund(operator, json!({ "invoiceId": invoice, "amount": "1.00" })).await.unwrap();
    assert_eq!(conflict(world.settle_refund(operator, &done, "GIVEN_BACK").await), "REFUND_NOT_HELD");
    let settle = async |role, refund: RefundId, reason: &str| {
        let input = json!({ "refundId": refund, "settlement": "GIVEN_BACK", "reason": reason });
        let arguments = shared::read_fields(json!({ "input": input })).unwrap();
        payment::settle_refund(&world.outbox, &world.caller(driver, role), arguments).await.unwrap_err()
    };
    for role in [Role::Driver, Role::Vendor] {
        assert_eq!(settle(role, done.id, "x").await.error_type(), "Forbidden");
    }
    assert_eq!(settle(Role::Operator, RefundId::new(), "x").await.error_type(), "NotFound");
    let with_card = settle(Role::Operator, done.id, "card 4242 4242 4242 4242").await;
    assert_eq!(with_card.to_string(), "input.reason: must not hold a card number");
}
