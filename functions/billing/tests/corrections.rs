//! Payments counted against invoices, and credit notes that take from them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use support::World;
use uuid::Uuid;

fn pay(invoice: &Value, amount: &str, method: &str) -> String {
    format!("SELECT pay_invoice('{}', {amount}, '{method}', now(), gen_random_uuid())", id(invoice))
}

fn give_back(invoice: &Value, amount: &str) -> String {
    format!(
        "SELECT issue_credit_note('{}', '{}', {amount}, 'why', '2026-05-01', gen_random_uuid())",
        id(invoice),
        Uuid::now_v7()
    )
}

fn id(invoice: &Value) -> &str {
    invoice["invoiceId"].as_str().unwrap()
}

#[tokio::test]
async fn an_invoice_takes_what_is_due_and_tells_once_when_nothing_is() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let invoice = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    assert_eq!(invoice["eventType"], "INVOICE_GENERATED");
    assert_eq!(world.one("SELECT status FROM invoices").await, "PENDING");
    for amount in ["11.91", "0", "-1"] {
        assert!(world.refuses(&pay(&invoice, amount, "CARD")).await, "{amount}");
    }
    assert_eq!(world.one(&pay(&invoice, "1.90", "WALLET")).await, Value::Null);
    assert!(world.refuses(&pay(&invoice, "10.01", "CARD")).await);
    let told = world.one(&pay(&invoice, "10", "CARD")).await;
    assert_eq!([&told["method"], &told["amount"]], ["WALLET_AND_CARD", "11.90"]);
    assert!(world.refuses(&pay(&invoice, "0.01", "CARD")).await);
    assert_eq!(world.events("PAYMENT_COMPLETED").await, [told]);
    let row = "SELECT status || ' ' || paid_amount || ' ' || (paid_at IS NOT NULL) || ' ' || (remind_on IS NULL) FROM invoices";
    assert_eq!(world.one(row).await, "PAID 11.9000 true true");
}

#[tokio::test]
async fn no_more_is_credited_than_was_invoiced() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let invoice = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    for amount in ["0", "-1", "0.005", "11.91", "NULL"] {
        assert!(world.refuses(&give_back(&invoice, amount)).await, "{amount}");
    }
    world.run(&pay(&invoice, "11.90", "WALLET")).await;
    for amount in ["0", "-1", "0.005", "11.91", "NULL"] {
        assert!(world.refuses(&give_back(&invoice, amount)).await, "{amount}");
    }
    let note = world.one(&give_back(&invoice, "11.90")).await;
    assert_eq!(note["number"], "CN-2026-A-000001");
    assert!(world.refuses(&give_back(&invoice, "0.01")).await);
    assert_eq!(
        world.one(&format!("SELECT status FROM invoices WHERE id = '{}'", id(&invoice))).await,
        "REFUNDED"
    );
    let of_note = serde_json::json!({ "invoiceId": note["creditNoteId"] });
    assert!(world.refuses(&give_back(&of_note, "1")).await, "a credit note is not taken from");
    assert!(world.refuses(&pay(&of_note, "1", "WALLET")).await, "a credit note is not paid");
}

#[tokio::test]
async fn a_credit_takes_from_what_is_due_before_it_gives_back() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let state = async |invoice: &Value| {
        let row = format!(
            "SELECT concat_ws(' ', status, round(invoice_due(i), 2), round(paid_amount, 2), round(credited_unpaid, 2),
                 CASE WHEN remind_on IS NULL THEN 'quiet' ELSE 'reminds' END, CASE WHEN paid_at IS NOT NULL THEN 'paid' END)
             FROM invoices AS i WHERE id = '{}'",
            id(invoice)
        );
        world.one(&row).await.as_str().unwrap().to_owned()
    };
    // Nothing was paid, and all of it was wrong.
    let wrong = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    world.run(&give_back(&wrong, "1.90")).await;
    assert_eq!(state(&wrong).await, "PENDING 10.00 0.00 1.90 reminds");
    world.run(&give_back(&wrong, "10")).await;
    assert_eq!(state(&wrong).await, "REFUNDED 0.00 0.00 11.90 quiet");
    assert!(world.refuses(&pay(&wrong, "0.01", "CARD")).await);
    assert!(world.refuses(&give_back(&wrong, "0.01")).await);
    assert_eq!(world.events("PAYMENT_COMPLETED").await, Vec::<Value>::new());

    // A part was wrong, the rest is paid: that is all there was to pay.
    let dear = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    world.run(&give_back(&dear, "1.90")).await;
    assert!(world.refuses(&pay(&dear, "10.01", "CARD")).await);
    let told = world.one(&pay(&dear, "10", "CARD")).await;
    assert_eq!([&told["amount"], &told["method"]], ["10.00", "CARD"]);
    assert_eq!(state(&dear).await, "PAID 0.00 10.00 1.90 quiet paid");
    world.run(&give_back(&dear, "10")).await;
    assert_eq!(state(&dear).await, "REFUNDED 0.00 10.00 1.90 quiet paid");

    // A part was paid: the credit ends the debt and gives back of the payment what goes beyond it.
    let half = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    world.run(&pay(&half, "5", "WALLET")).await;
    world.run(&give_back(&half, "6.90")).await;
    assert_eq!(state(&half).await, "PAID 0.00 5.00 6.90 quiet paid");
    world.run(&give_back(&half, "5")).await;
    assert_eq!(state(&half).await, "REFUNDED 0.00 5.00 6.90 quiet paid");
}

#[tokio::test]
async fn two_who_give_back_at_once_do_not_give_back_twice() {
    let world = World::new().await;
    let driver = world.driver("20.00").await;
    let invoice = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    let notes = (0..10).map(|_| async {
        let sql = give_back(&invoice, "3.00");
        world.connect().await.batch_execute(&sql).await.is_ok()
    });
    let done = futures::future::join_all(notes).await;
    assert_eq!(done.iter().filter(|done| **done).count(), 3);
    assert_eq!(world.one("SELECT max(refunded_amount)::text FROM invoices").await, "9.0000");
    let numbers = world.gapless_numbers().await;
    assert_eq!(numbers.iter().filter(|number| number.starts_with("CN-")).count(), 3);
}

#[tokio::test]
async fn credit_notes_share_the_vat_and_add_up_to_the_whole() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let mut runner = TestRunner::deterministic();
    let shares = (1u32..5_000, proptest::collection::vec(1u32..1_000, 1..8));
    for currency in ["EUR", "JPY", "KWD"].repeat(4) {
        let (coins, mut parts) = shares.new_tree(&mut runner).unwrap().current();
        let digits = currency.parse::<shared::Currency>().unwrap().minor_digits();
        let text = |coins: u32| rust_decimal::Decimal::new(coins.into(), digits).to_string();
        let invoice = world.issue(driver, &text(coins), currency, "2026-03-01").await;
        // Some before they are paid, some after.
        let (mut left, mut is_paid) = (coins, false);
        parts.push(coins);
        for part in parts {
            let part = part.min(left);
            left -= part;
            if part > 0 {
                world.run(&give_back(&invoice, &text(part))).await;
            }
            if !is_paid && left > 0 && coins.is_multiple_of(2) {
                world.run(&pay(&invoice, &text(left), "CARD")).await;
                is_paid = true;
            }
        }
        let sums = world
            .one(&format!(
                "SELECT (sum(note.amount) = -max(i.amount) AND sum(note.net) = -max(i.net) AND sum(note.vat) = -max(i.vat)
                     AND max(note.net) <= 0 AND max(note.vat) <= 0 AND max(i.status) = 'REFUNDED'
                     AND bool_and(note.amount = (SELECT sum(amount) FROM invoice_lines WHERE invoice_id = note.id))
                     AND bool_and(abs(note.vat - round(i.vat * note.amount / i.amount, {digits})) <= 10.0 ^ -{digits}))
                 FROM invoices AS i JOIN invoices AS note ON note.corrects_invoice_id = i.id WHERE i.id = '{}'",
                id(&invoice)
            ))
            .await;
        assert_eq!(sums, true, "{currency} {coins}");
    }
}
