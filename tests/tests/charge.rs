//! One driver charges one car, through every part of the system, with a charger that is not ours. Runs under
//! `local run`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use serde_json::Value;
use tests::accounts::Account;
use tests::journey::{self, Charge};
use tests::stack::Stack;

async fn charge(version: &str, money: Option<&str>) -> (Stack, Charge) {
    let stack = Stack::running().unwrap();
    let tell: journey::Tell<'_> = &mut |line| println!("{line}");
    journey::mirror(&stack, tell).await.unwrap();
    let operator = Account::operator(&stack).await.unwrap();
    let driver = Account::driver(&stack, "Dora Driver").await.unwrap();
    if let Some(amount) = money {
        operator.credit(&driver, amount).await.unwrap();
    }
    let site = journey::site(&stack, &operator, tell).await.unwrap();
    let charge = journey::charge(&stack, &driver, &site, version, tell).await.unwrap();
    charge.check().unwrap();
    journey::settled(&stack, tell).await.unwrap();
    (stack, charge)
}

/// Every event there is passes the schema of its type. Gives the types of the session's own.
async fn check_events(stack: &Stack, session: &str) -> Vec<String> {
    let mut types = BTreeSet::new();
    for row in stack.sql("SELECT payload::text FROM outbox").await.unwrap() {
        let event: Value = serde_json::from_str(row.get(0)).unwrap();
        let event_type = event["eventType"].as_str().unwrap().to_owned();
        let path = Stack::root().join(format!("events/schemas/{event_type}.json"));
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        jsonschema::validate(&schema, &event).unwrap_or_else(|error| panic!("{event}: {error}"));
        if event["sessionId"] == *session {
            types.insert(event_type);
        }
    }
    types.into_iter().collect()
}

#[tokio::test]
async fn a_charge_over_ocpp_1_6_is_billed_to_the_cent() {
    let (stack, charge) = charge("1.6", Some("50.00")).await;
    assert_eq!(charge.invoice_status, "PAID");
    let types = check_events(&stack, &charge.session).await;
    assert_eq!(types, ["PAYMENT_COMPLETED", "SESSION_ENDED", "SESSION_STARTED", "SESSION_UPDATED"]);
}

#[tokio::test]
async fn a_charge_over_ocpp_2_0_1_is_billed_to_the_cent() {
    let (stack, charge) = charge("2.0.1", Some("50.00")).await;
    assert_eq!(charge.invoice_status, "PAID");
    let types = check_events(&stack, &charge.session).await;
    assert_eq!(types, ["PAYMENT_COMPLETED", "SESSION_ENDED", "SESSION_STARTED", "SESSION_UPDATED"]);
}

#[tokio::test]
async fn a_charge_beyond_the_wallet_is_owed() {
    let (stack, charge) = charge("1.6", None).await;
    assert_eq!(charge.invoice_status, "PENDING");
    assert_eq!(charge.after, charge.before);
    let types = check_events(&stack, &charge.session).await;
    assert_eq!(types, ["INVOICE_GENERATED", "SESSION_ENDED", "SESSION_STARTED", "SESSION_UPDATED"]);
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
