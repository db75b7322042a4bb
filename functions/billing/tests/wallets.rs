//! Wallets: what moves them, and that nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use billing::{WalletEntry, credit, debit, wallet_entries};
use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use shared::{Failure, Page, UserId};
use support::{Session, World, conflict, read};

fn adjustment(user: UserId, amount: &str, currency: &str, key: &str) -> Value {
    json!({ "input": {
        "userId": user, "amount": amount, "currency": currency, "reason": "Goodwill", "idempotencyKey": key,
    } })
}

#[tokio::test]
async fn an_operator_adds_and_takes_and_leaves_a_trace() {
    let world = World::new().await;
    let (driver, database, operator) = (world.driver("0").await, &world.database, &world.operator);
    let added = credit(database, operator, read(adjustment(driver, "50.00", "EUR", "k"))).await.unwrap();
    let taken = debit(database, operator, read(adjustment(driver, "12.50", "EUR", "k"))).await.unwrap();
    let shown = serde_json::to_value(&taken).unwrap();
    assert_eq!(shown["amount"], json!({ "amount": "-12.50", "currency": "EUR" }));
    assert_eq!(shown["balance"], json!({ "amount": "37.50", "currency": "EUR" }));
    assert_eq!(added.balance.amount().to_string(), "50.0000");

    // The same again is the same; anything else under that key is refused.
    let again = debit(database, operator, read(adjustment(driver, "12.50", "EUR", "k"))).await.unwrap();
    assert_eq!(again, taken);
    let other = debit(database, operator, read(adjustment(driver, "12.51", "EUR", "k"))).await;
    assert_eq!(conflict(other), "IDEMPOTENCY_KEY_REUSED");
    let foreign =
        credit(database, operator, read(adjustment(world.driver("0").await, "50.00", "EUR", "k"))).await;
    assert_eq!(conflict(foreign), "IDEMPOTENCY_KEY_REUSED");

    let audit = world.all("SELECT actor_id, action, subject, reason FROM audit_log ORDER BY id").await;
    let row = |action: &str, reason: &str| {
        json!({
            "actor_id": operator.user().unwrap().id, "action": action, "subject": driver.to_string(), "reason": reason,
        })
    };
    assert_eq!(
        audit,
        [row("WALLET_CREDITED", "50.00 EUR: Goodwill"), row("WALLET_DEBITED", "12.50 EUR: Goodwill")]
    );
    world.assert_wallets_add_up().await;
}

#[tokio::test]
async fn refusals_say_why_and_move_nothing() {
    let world = World::new().await;
    let (driver, database, operator) = (world.driver("10.00").await, &world.database, &world.operator);
    let too_much = debit(database, operator, read(adjustment(driver, "10.01", "EUR", "a"))).await;
    assert_eq!(conflict(too_much), "INSUFFICIENT_FUNDS");
    let dollars = credit(database, operator, read(adjustment(driver, "5", "USD", "b"))).await;
    assert_eq!(conflict(dollars), "CURRENCY_MISMATCH");
    let yen = debit(database, operator, read(adjustment(driver, "5", "JPY", "b"))).await;
    assert_eq!(conflict(yen), "CURRENCY_MISMATCH");
    let nobody = credit(database, operator, read(adjustment(UserId::new(), "5", "EUR", "c"))).await;
    assert!(matches!(nobody, Err(Failure::NotFound("user"))));
    let driver_himself = world.caller(driver);
    for forbidden in [
        credit(database, &driver_himself, read(adjustment(driver, "5", "EUR", "d"))).await,
        debit(database, &driver_himself, read(adjustment(driver, "5", "EUR", "d"))).await,
    ] {
        assert!(matches!(forbidden, Err(Failure::Forbidden(_))));
    }
    world.run(&format!("UPDATE users SET deleted_at = now() WHERE id = '{driver}'")).await;
    let deleted = credit(database, operator, read(adjustment(driver, "5", "EUR", "e"))).await;
    assert!(matches!(deleted, Err(Failure::NotFound("user"))));
    assert_eq!(world.one("SELECT count(*) FROM wallet_entries").await, 1);
    world.assert_wallets_add_up().await;
}

#[tokio::test]
async fn a_hundred_requests_with_one_key_are_one_entry_whoever_they_are_for() {
    let world = World::new().await;
    let (first, second) = (world.driver("0").await, world.driver("0").await);
    let requests = (0..100).map(|number| {
        let user = if number % 2 == 0 { first } else { second };
        let arguments = read(adjustment(user, "1.00", "EUR", "k"));
        credit(&world.database, &world.operator, arguments)
    });
    let results = join_all(requests).await;
    let answers: Vec<&WalletEntry> = results.iter().flatten().collect();
    assert_eq!(answers.len(), 50);
    assert!(answers.iter().all(|entry| *entry == answers[0]));
    let refused = results.into_iter().filter(Result::is_err);
    assert!(refused.map(conflict).all(|code| code == "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(world.one("SELECT count(*) FROM wallet_entries").await, 1);
    world.assert_wallets_add_up().await;
}

#[tokio::test]
async fn the_ledger_refuses_what_would_not_add_up() {
    let world = World::new().await;
    let driver = world.driver("10.00").await;
    let post = |amount: &str, currency: &str, cause: &str, id: &str| {
        format!(
            "SELECT post_wallet_entry(gen_random_uuid(), '{driver}', {amount}, '{currency}', '{cause}', '{id}', 'r', now())"
        )
    };
    assert!(world.refuses(&post("-10.01", "EUR", "PAYMENT", "1")).await);
    assert!(world.refuses(&post("1", "USD", "PAYMENT", "1")).await);
    assert!(world.refuses(&post("1", "EUR", "GIFT", "1")).await);
    assert!(world.refuses(&post("0", "EUR", "PAYMENT", "1")).await);
    for cause in ["TOP_UP", "PAYMENT", "PAYMENT_REVERSAL", "REFUND", "FORFEIT"] {
        world.run(&post("1", "EUR", cause, "1")).await;
        assert!(world.refuses(&post("1", "EUR", cause, "1")).await, "{cause} twice");
    }
    assert_eq!(world.one("SELECT wallet_balance::text FROM users").await, "15.0000");
    world.assert_wallets_add_up().await;
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Credit(u32),
    Debit(u32),
    Charge(u32),
    FlatRate(u32),
    Pay,
    GiveBack(u32),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        (1u32..3_000).prop_map(Step::Credit),
        (1u32..3_000).prop_map(Step::Debit),
        (0u32..400).prop_map(Step::Charge),
        (1u32..3_000).prop_map(Step::FlatRate),
        Just(Step::Pay),
        (1u32..2_000).prop_map(Step::GiveBack),
    ];
    proptest::collection::vec((0usize..3, step), 160)
}

/// What the crate of payments does, reduced to what moves wallets: the oldest invoice that is owed is paid from the
/// wallet as far as that goes; of the newest one a part is credited, and given back what of it was paid.
const PAYMENTS: &str = "
    CREATE FUNCTION pay_oldest(driver uuid) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        account users;
        owed invoices;
        part numeric;
    BEGIN
        SELECT * INTO account FROM users WHERE id = driver FOR NO KEY UPDATE;
        SELECT * INTO owed FROM invoices WHERE user_id = driver AND status = 'PENDING' ORDER BY number LIMIT 1
        FOR NO KEY UPDATE;
        part := LEAST(account.wallet_balance, invoice_due(owed));
        IF owed.id IS NOT NULL AND part > 0 THEN
            PERFORM post_wallet_entry(gen_random_uuid(), driver, -part, owed.currency, 'PAYMENT', gen_random_uuid()::text,
                'payment', now());
            PERFORM pay_invoice(owed.id, part, 'WALLET', now(), gen_random_uuid());
        END IF;
    END;
    $$;
    CREATE FUNCTION give_back(driver uuid, most numeric) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        paid invoices;
        part numeric;
        back numeric;
        note jsonb;
    BEGIN
        PERFORM FROM users WHERE id = driver FOR NO KEY UPDATE;
        SELECT * INTO paid FROM invoices
        WHERE user_id = driver AND kind <> 'CREDIT_NOTE' AND amount > refunded_amount
        ORDER BY number DESC LIMIT 1 FOR NO KEY UPDATE;
        part := LEAST(most, paid.amount - paid.refunded_amount);
        back := part - LEAST(part, invoice_due(paid));
        IF paid.id IS NOT NULL THEN
            note := issue_credit_note(paid.id, gen_random_uuid(), part, 'test', now(), gen_random_uuid());
            IF back > 0 THEN
                PERFORM post_wallet_entry(gen_random_uuid(), driver, back, paid.currency, 'REFUND',
                    note->>'creditNoteId', 'refund', now());
            END IF;
        END IF;
    END;
    $$;";

async fn take(world: &World, drivers: &[UserId], (number, (who, step)): (usize, (usize, Step))) {
    let driver = drivers[who];
    let coins = |cents: u32| format!("{}.{:02}", cents / 100, cents % 100);
    let key = format!("step-{number}");
    match step {
        Step::Credit(cents) => {
            let arguments = read(adjustment(driver, &coins(cents), "EUR", &key));
            credit(&world.database, &world.operator, arguments).await.unwrap();
        }
        Step::Debit(cents) => {
            let arguments = read(adjustment(driver, &coins(cents), "EUR", &key));
            match debit(&world.database, &world.operator, arguments).await {
                Ok(_) | Err(Failure::Conflict { code: "INSUFFICIENT_FUNDS", .. }) => {}
                Err(failure) => panic!("{failure}"),
            }
        }
        Step::Charge(tenths) => {
            let session = world.session(driver, Session::default()).await;
            world
                .run(&format!("UPDATE sessions SET energy_kwh = {tenths} / 10.0 WHERE id = '{session}'"))
                .await;
            world.bill(session).await.unwrap();
        }
        Step::FlatRate(cents) => {
            world.issue(driver, &coins(cents), "EUR", "2026-03-01").await;
        }
        Step::Pay => {
            world.connect().await.batch_execute(&format!("SELECT pay_oldest('{driver}')")).await.unwrap();
        }
        Step::GiveBack(cents) => {
            let sql = format!("SELECT give_back('{driver}', {})", coins(cents));
            world.connect().await.batch_execute(&sql).await.unwrap();
        }
    }
}

#[tokio::test]
async fn whatever_happens_at_once_the_ledger_is_the_balance() {
    let world = World::new().await;
    world.run(PAYMENTS).await;
    let mut drivers = Vec::new();
    for _ in 0..3 {
        drivers.push(world.driver("20.00").await);
    }
    let steps = steps().new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let numbered: Vec<_> = steps.into_iter().enumerate().collect();
    for at_once in numbered.chunks(16) {
        join_all(at_once.iter().map(|step| take(&world, &drivers, *step))).await;
    }
    world.assert_wallets_add_up().await;

    let violations = world
        .all(
            "SELECT number FROM invoices AS i
             WHERE amount <> (SELECT sum(amount) FROM invoice_lines WHERE invoice_id = i.id)
                 OR refunded_amount <> (SELECT -COALESCE(sum(amount), 0) FROM invoices WHERE corrects_invoice_id = i.id)
                 OR (kind <> 'CREDIT_NOTE' AND (status IN ('PAID', 'REFUNDED')) <> (invoice_due(i) = 0))
                 OR (status = 'REFUNDED') <> (refunded_amount = amount AND amount > 0)",
        )
        .await;
    assert_eq!(violations, Vec::<Value>::new());
    // What invoices took from wallets and credit notes gave back is what the ledger says.
    let moved = world.one(
        "SELECT (SELECT sum(amount) FROM wallet_entries WHERE cause IN ('INVOICE', 'PAYMENT', 'REFUND'))
              + (SELECT sum(paid_amount + credited_unpaid) FROM invoices)",
    );
    assert_eq!(moved.await, 0.0);
    let audited = "SELECT count(*) FROM audit_log WHERE action IN ('WALLET_CREDITED', 'WALLET_DEBITED')";
    let adjusted = "SELECT count(*) FROM wallet_entries WHERE cause IN ('CREDIT', 'DEBIT')";
    assert_eq!(world.one(audited).await, world.one(adjusted).await);
    let numbers = world.gapless_numbers().await;
    let credit_notes = numbers.iter().filter(|number| number.starts_with("CN-")).count();
    assert!(credit_notes > 10 && numbers.len() - credit_notes > 10, "{numbers:?}");
}

async fn page(
    world: &World,
    caller: &shared::Caller,
    arguments: Value,
) -> Result<Page<WalletEntry>, Failure> {
    wallet_entries(&world.database, caller, read(arguments)).await
}

#[tokio::test]
async fn a_ledger_is_read_in_pages_by_its_owner_and_by_operators() {
    let world = World::new().await;
    let (driver, other) = (world.driver("1.00").await, world.driver("9.00").await);
    for number in 0..6 {
        let arguments = read(adjustment(driver, "1.00", "EUR", &format!("k{number}")));
        credit(&world.database, &world.operator, arguments).await.unwrap();
    }
    let owner = world.caller(driver);
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = page(&world, &owner, json!({ "first": 3, "after": after })).await.unwrap();
        seen.extend(page.edges.iter().map(|edge| edge.node.balance.amount().to_string()));
        if !page.page_info.has_next_page {
            break;
        }
        after = serde_json::to_value(page.page_info.end_cursor).unwrap();
    }
    assert_eq!(seen, ["7.0000", "6.0000", "5.0000", "4.0000", "3.0000", "2.0000", "1.0000"]);

    assert_eq!(page(&world, &owner, json!({ "userId": driver })).await.unwrap().edges.len(), 7);
    let foreign = page(&world, &owner, json!({ "userId": other })).await;
    assert!(matches!(foreign, Err(Failure::Forbidden(_))));
    assert_eq!(page(&world, &world.operator, json!({ "userId": other })).await.unwrap().edges.len(), 1);
    assert_eq!(page(&world, &world.operator, json!({})).await.unwrap().edges.len(), 0);
    let bad = page(&world, &owner, json!({ "after": "bm9uc2Vuc2U" })).await;
    assert!(matches!(bad, Err(Failure::Invalid { .. })));
    let shown = serde_json::to_value(page(&world, &owner, json!({})).await.unwrap()).unwrap();
    assert_eq!(shown["edges"][0]["node"].get("position"), None);
}
