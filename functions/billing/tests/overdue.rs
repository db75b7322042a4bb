//! What becomes of invoices that nobody pays.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use billing::{OverdueReport, mark_overdue};
use serde_json::{Value, json};
use support::{World, at};

async fn run(world: &World, day: &str) -> i64 {
    let report = mark_overdue(&world.outbox, at(&format!("{day}T00:05:00Z"))).await.unwrap();
    assert!(!report.unfinished);
    report.reminded
}

async fn told(world: &World) -> Vec<(Value, Value, Value)> {
    let events = world.events("INVOICE_OVERDUE").await;
    events
        .iter()
        .map(|event| (event["number"].clone(), event["reminder"].clone(), event["due"].clone()))
        .collect()
}

#[tokio::test]
async fn it_is_overdue_the_day_after_and_told_of_three_times() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    world.issue(driver, "5.00", "EUR", "2026-03-05").await;
    for (day, reminded, status) in [
        ("2026-03-01", 0, "PENDING"),
        ("2026-03-02", 1, "OVERDUE"),
        ("2026-03-02", 0, "OVERDUE"),
        ("2026-03-06", 1, "OVERDUE"),
        ("2026-03-08", 0, "OVERDUE"),
        ("2026-03-09", 1, "OVERDUE"),
        // Nothing ran for a week: what is late is told once, not as often as it should have been.
        ("2026-03-20", 2, "OVERDUE"),
        ("2026-03-27", 1, "OVERDUE"),
        ("2027-01-01", 0, "OVERDUE"),
    ] {
        assert_eq!(run(&world, day).await, reminded, "{day}");
        assert_eq!(world.one("SELECT status FROM invoices ORDER BY number LIMIT 1").await, status, "{day}");
    }
    let reminder = |number: &str, count: u32, due: &str| (json!(number), json!(count), json!(due));
    let mut told = told(&world).await;
    told.sort_by_key(|(number, count, _)| (number.to_string(), count.to_string()));
    assert_eq!(
        told,
        [
            reminder("2026-A-000001", 1, "11.90"),
            reminder("2026-A-000001", 2, "11.90"),
            reminder("2026-A-000001", 3, "11.90"),
            reminder("2026-A-000002", 1, "5.00"),
            reminder("2026-A-000002", 2, "5.00"),
            reminder("2026-A-000002", 3, "5.00"),
        ]
    );
}

#[tokio::test]
async fn a_payment_ends_the_reminders_and_a_part_of_one_does_not() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let invoice = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    let pay = |amount: &str| {
        format!(
            "SELECT pay_invoice('{}', {amount}, 'CARD', now(), gen_random_uuid())",
            invoice["invoiceId"].as_str().unwrap()
        )
    };
    assert_eq!(run(&world, "2026-03-02").await, 1);
    world.run(&pay("10")).await;
    assert_eq!(run(&world, "2026-03-09").await, 1);
    world.run(&pay("1.90")).await;
    assert_eq!(run(&world, "2026-03-16").await, 0);
    assert_eq!(world.one("SELECT status FROM invoices").await, "PAID");
    let due: Vec<_> = told(&world).await.into_iter().map(|(.., due)| due).collect();
    assert_eq!(due, ["11.90", "1.90"]);
}

#[tokio::test]
async fn nobody_is_reminded_of_what_was_credited() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let credit = |invoice: &Value, amount: &str| {
        format!(
            "SELECT issue_credit_note('{}', gen_random_uuid(), {amount}, 'why', '2026-03-01', gen_random_uuid())",
            invoice["invoiceId"].as_str().unwrap()
        )
    };
    let wrong = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    let late = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    world.run(&credit(&wrong, "11.90")).await;
    world.run(&credit(&late, "1.90")).await;
    assert_eq!(run(&world, "2026-03-02").await, 1);
    world.run(&credit(&late, "10")).await;
    assert_eq!(run(&world, "2026-03-09").await, 0);
    assert_eq!(told(&world).await, [(json!("2026-A-000002"), json!(1), json!("10.00"))]);
    let statuses =
        world.one("SELECT string_agg(DISTINCT status, ' ') FROM invoices WHERE kind <> 'CREDIT_NOTE'");
    assert_eq!(statuses.await, "REFUNDED");
}

#[tokio::test]
async fn runs_at_the_same_time_remind_of_each_once_and_a_held_one_waits() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    for _ in 0..120 {
        world.issue(driver, "1.00", "EUR", "2026-03-01").await;
    }
    let now = at("2026-03-02T00:05:00Z");
    let payer = world.connect().await;
    payer
        .batch_execute("BEGIN; SELECT FROM invoices WHERE number = '2026-A-000007' FOR UPDATE")
        .await
        .unwrap();
    let runs = [(); 3].map(|()| mark_overdue(&world.outbox, now));
    let reports = futures::future::join_all(runs).await;
    let reminded: i64 = reports.iter().map(|report| report.as_ref().unwrap().reminded).sum();
    assert_eq!(reminded, 119);
    payer.batch_execute("ROLLBACK").await.unwrap();
    let rest = mark_overdue(&world.outbox, now).await.unwrap();
    assert_eq!(rest, OverdueReport { reminded: 1, unfinished: false });
    assert_eq!(told(&world).await.len(), 120);
    assert_eq!(
        world.one("SELECT count(*) FROM invoices WHERE reminders = 1 AND status = 'OVERDUE'").await,
        120
    );
    assert_eq!(
        world
            .one("SELECT count(*) FROM outbox WHERE published_at IS NULL AND event_type = 'INVOICE_OVERDUE'")
            .await,
        0
    );
}
