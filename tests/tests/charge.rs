//! One driver charges one car, through every part of the system, with a charger that is not ours. Runs under
//! `local run`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use serde_json::Value;
use tests::accounts::Account;
use tests::journey::{self, Charge};
use tests::stack::Stack;

async fn charge(version: &str) -> (Stack, Charge) {
    let stack = Stack::running().unwrap();
    let tell: journey::Tell<'_> = &mut |line| println!("{line}");
    journey::mirror(&stack, tell).await.unwrap();
    let operator = Account::operator(&stack).await.unwrap();
    let driver = Account::driver(&stack, "Dora Driver").await.unwrap();
    operator.credit(&driver, "50.00").await.unwrap();
    let site = journey::site(&stack, &operator, tell).await.unwrap();
    let charge = journey::charge(&stack, &driver, &site, version, tell).await.unwrap();
    charge.check().unwrap();
    (stack, charge)
}

/// Every event of the session, as it went over the bus, passes the schema of its type.
async fn check_events(stack: &Stack, session: &str) {
    let query = format!(
        "SELECT payload::text FROM outbox WHERE correlation_id = (SELECT correlation_id FROM sessions WHERE id = '{session}')
         OR payload->>'sessionId' = '{session}'"
    );
    let mut types = BTreeSet::new();
    for row in stack.sql(&query).await.unwrap() {
        let event: Value = serde_json::from_str(row.get(0)).unwrap();
        let event_type = event["eventType"].as_str().unwrap().to_owned();
        let path = Stack::root().join(format!("events/schemas/{event_type}.json"));
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        jsonschema::validate(&schema, &event).unwrap_or_else(|error| panic!("{event}: {error}"));
        types.insert(event_type);
    }
    let expected = ["PAYMENT_COMPLETED", "SESSION_ENDED", "SESSION_STARTED", "SESSION_UPDATED"];
    assert_eq!(types.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_charge_over_ocpp_1_6_is_billed_to_the_cent() {
    let (stack, charge) = charge("1.6").await;
    check_events(&stack, &charge.session).await;
    journey::settled(&stack, &mut |line| println!("{line}")).await.unwrap();
}

#[tokio::test]
async fn a_charge_over_ocpp_2_0_1_is_billed_to_the_cent() {
    let (stack, charge) = charge("2.0.1").await;
    check_events(&stack, &charge.session).await;
    journey::settled(&stack, &mut |line| println!("{line}")).await.unwrap();
}

#[tokio::test]
async fn the_ledger_is_the_balance_of_every_wallet() {
    let stack = Stack::running().unwrap();
    let wrong = "SELECT count(*) FROM users u
                 WHERE wallet_balance <> (SELECT coalesce(sum(amount), 0) FROM wallet_entries e WHERE e.user_id = u.id)";
    assert_eq!(stack.count(wrong).await.unwrap(), 0);
}

#[tokio::test]
async fn migrations_apply_twice_without_change() {
    let stack = Stack::running().unwrap();
    let tables = "SELECT md5(string_agg(c.relname || a.attname || format_type(a.atttypid, a.atttypmod), ',' ORDER BY 1))
                  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = 'public' AND a.attnum > 0";
    let tables = tables.replace("ORDER BY 1", "ORDER BY c.relname, a.attnum");
    let before: String = stack.sql(&tables).await.unwrap()[0].get(0);
    let report = stack.invoke("migrate", &serde_json::json!({})).await.unwrap();
    assert_eq!(report["applied"], serde_json::json!([]), "{report}");
    let after: String = stack.sql(&tables).await.unwrap()[0].get(0);
    assert_eq!(before, after);
}
