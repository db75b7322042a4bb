//! A session is billed once, by what its row says, whatever arrives how often.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::{Failure, SessionId, UserId};
use support::{Session, World, at, conflict, envelope};
use uuid::Uuid;

/// Puts a function in front of bill_session that counts its calls and runs `and_then` after each; `answer` is what the
/// call came to.
async fn watch_calls(world: &World, and_then: &str) {
    world
        .run(&format!(
            "CREATE TABLE calls (result text);
             ALTER FUNCTION bill_session RENAME TO bill_session_itself;
             CREATE FUNCTION bill_session(bill jsonb, moment timestamptz, correlation uuid) RETURNS jsonb
             LANGUAGE plpgsql AS $$
             DECLARE
                 answer jsonb := bill_session_itself(bill, moment, correlation);
             BEGIN
                 INSERT INTO calls VALUES (answer->'outcome'->>'result');
                 {and_then}
                 RETURN answer;
             END;
             $$"
        ))
        .await;
}

async fn calls(world: &World) -> Value {
    world.one("SELECT jsonb_agg(result) FROM calls").await
}

#[tokio::test]
async fn a_session_is_paid_from_the_wallet_or_is_owed() {
    let world = World::new().await;
    let (rich, poor) = (world.driver("50.00").await, world.driver("11.32").await);
    let (paid, owed) =
        (world.session(rich, Session::default()).await, world.session(poor, Session::default()).await);
    world.bill(paid).await.unwrap();
    world.bill(owed).await.unwrap();

    // 22.4 × 0.49 + 0.35
    let completed = world.events("PAYMENT_COMPLETED").await;
    assert_eq!(completed.len(), 1);
    assert_eq!(completed[0]["sessionId"], json!(paid));
    assert_eq!([&completed[0]["amount"], &completed[0]["method"]], ["11.33", "WALLET"]);
    assert_eq!(completed[0]["number"], "2026-A-000001");
    let generated = world.events("INVOICE_GENERATED").await;
    assert_eq!(generated.len(), 1);
    assert_eq!(generated[0]["sessionId"], json!(owed));
    assert_eq!([&generated[0]["amount"], &generated[0]["dueDate"]], ["11.33", "2026-03-07"]);

    let sessions = world.all("SELECT cost, currency FROM sessions").await;
    assert_eq!(sessions, vec![json!({ "cost": 11.33, "currency": "EUR" }); 2]);
    let rows = world
        .all("SELECT status, amount, net, vat, paid_amount, energy_kwh, remind_on FROM invoices ORDER BY number")
        .await;
    let row = |status: &str, paid: f64, remind_on: Value| {
        json!({
            "status": status, "amount": 11.33, "net": 9.52, "vat": 1.81, "paid_amount": paid, "energy_kwh": 22.4,
            "remind_on": remind_on,
        })
    };
    assert_eq!(rows[0].to_string(), row("PAID", 11.33, Value::Null).to_string());
    assert_eq!(rows[1]["status"], "PENDING");
    assert_eq!(rows[1]["remind_on"], "2026-03-08");
    assert_eq!(world.one("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, 0);
    world.assert_wallets_add_up().await;
}

#[tokio::test]
async fn fifty_deliveries_at_once_are_one_invoice_and_one_entry() {
    let world = World::new().await;
    let driver = world.driver("100.00").await;
    let session = world.session(driver, Session::default()).await;
    let event = world.ended(session).await;
    let results = join_all((0..50).map(|_| world.biller.bill(&event, world.now))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    world.bill(session).await.unwrap();
    for (table, count) in [
        ("invoices", 1),
        ("wallet_entries WHERE cause = 'INVOICE'", 1),
        ("outbox WHERE source = 'billing-service'", 1),
        ("number_series", 1),
    ] {
        assert_eq!(world.one(&format!("SELECT count(*) FROM {table}")).await, count, "{table}");
    }
    assert_eq!(world.one("SELECT last FROM number_series").await, 1);
    assert_eq!(world.one("SELECT wallet_balance::text FROM users").await, "88.6700");
    world.assert_wallets_add_up().await;
}

#[tokio::test]
async fn a_known_tariff_needs_one_call_and_an_unknown_one_two() {
    let world = World::new().await;
    watch_calls(&world, "").await;
    let driver = world.driver("100.00").await;
    for _ in 0..3 {
        let session = world.session(driver, Session::default()).await;
        world.bill(session).await.unwrap();
    }
    assert_eq!(calls(&world).await, json!(["FACTS", "BILLED", "BILLED", "BILLED"]));

    // A tariff that depends on readings is never taken for granted.
    let idle = Uuid::now_v7();
    world
        .run(&format!(
            "TRUNCATE calls;
             INSERT INTO tariffs (id, station_id, currency, per_kwh, idle_per_minute, vat_rate, valid_from)
             VALUES ('{idle}', '{}', 'EUR', 0.5, 0.1, 0.19, '2020-01-01')",
            world.station
        ))
        .await;
    for _ in 0..2 {
        let session = world.session(driver, Session { tariff: Some(idle), ..Session::default() }).await;
        world.bill(session).await.unwrap();
    }
    assert_eq!(calls(&world).await, json!(["FACTS", "BILLED", "FACTS", "BILLED"]));
}

#[tokio::test]
async fn the_row_is_billed_whatever_the_event_says() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    world.bill(world.session(driver, Session::default()).await).await.unwrap();
    let session = world.session(driver, Session { kwh: "10.0000", ..Session::default() }).await;
    let mut lie = world.ended(session).await;
    lie.payload.energy_kwh = serde_json::from_value(json!(99.9)).unwrap();
    lie.payload.ended_at = Some(at("2026-02-21T15:00:00Z"));
    world.biller.bill(&lie, world.now).await.unwrap();
    let sparse = world.session(driver, Session { kwh: "20.0000", ..Session::default() }).await;
    let told = json!({ "sessionId": sparse, "userId": driver, "stationId": world.station, "energyKwh": 20 });
    world.biller.bill(&envelope(&told), world.now).await.unwrap();
    let amounts = world.all("SELECT amount::text FROM invoices ORDER BY number").await;
    let amounts: Vec<_> = amounts.iter().map(|row| row["amount"].as_str().unwrap()).collect();
    assert_eq!(amounts, ["11.3300", "5.2500", "10.1500"]);
}

#[tokio::test]
async fn a_session_corrected_meanwhile_is_priced_again_and_given_up_only_when_it_never_rests() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    watch_calls(
        &world,
        "IF answer->'outcome'->>'result' = 'FACTS' AND (SELECT count(*) FROM calls) < 3 THEN
             UPDATE sessions SET energy_kwh = energy_kwh + 1 WHERE id = (bill->>'sessionId')::uuid;
         END IF;",
    )
    .await;
    let session = world.session(driver, Session { kwh: "10.0000", ..Session::default() }).await;
    world.bill(session).await.unwrap();
    assert_eq!(calls(&world).await, json!(["FACTS", "FACTS", "FACTS", "BILLED"]));
    // 12 × 0.49 + 0.35
    assert_eq!(world.one("SELECT amount::text FROM invoices").await, "6.2300");
    assert_eq!(world.one("SELECT energy_kwh::text FROM invoices").await, "12.0000");

    world.run("TRUNCATE calls").await;
    world
        .run(
            "ALTER FUNCTION bill_session RENAME TO bill_session_watched;
             CREATE FUNCTION bill_session(bill jsonb, moment timestamptz, correlation uuid) RETURNS jsonb
             LANGUAGE plpgsql AS $$
             BEGIN
                 UPDATE sessions SET energy_kwh = energy_kwh + 1 WHERE id = (bill->>'sessionId')::uuid;
                 RETURN bill_session_watched(bill, moment, correlation);
             END;
             $$",
        )
        .await;
    let restless = world.session(driver, Session::default()).await;
    let failure = world.bill(restless).await.unwrap_err();
    assert!(failure.retryable(), "{failure}");
    assert_eq!(calls(&world).await, json!(vec!["FACTS"; 5]));
    assert_eq!(world.one("SELECT count(*) FROM invoices").await, 1);
    assert_eq!(world.one("SELECT last FROM number_series").await, 1);
}

#[tokio::test]
async fn what_cannot_be_billed_is_hopeless_and_writes_nothing() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let hopeless = |result: Result<(), Failure>| {
        let failure = result.unwrap_err();
        assert!(!failure.retryable(), "{failure}");
        failure.error_type()
    };

    let open = world.session(driver, Session { status: "IN_PROGRESS", ..Session::default() }).await;
    assert_eq!(conflict(world.bill(open).await), "SESSION_NOT_COMPLETED");
    let told = |session: SessionId, user: UserId| {
        envelope(&json!({
            "sessionId": session, "userId": user, "stationId": world.station, "energyKwh": 22.4,
        }))
    };
    let nobody = told(SessionId::new(), driver);
    assert_eq!(hopeless(world.biller.bill(&nobody, world.now).await), "Invalid");
    let ended = world.session(driver, Session::default()).await;
    let foreign = told(ended, UserId::new());
    assert_eq!(hopeless(world.biller.bill(&foreign, world.now).await), "Invalid");
    let before_all = Session { started: at("2019-01-01T00:00:00Z"), tariff: None, ..Session::default() };
    let untariffed = world.session(driver, before_all).await;
    assert_eq!(conflict(world.bill(untariffed).await), "NO_TARIFF");
    for table in ["invoices", "number_series", "outbox"] {
        assert_eq!(world.one(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

#[tokio::test]
async fn without_an_agreed_tariff_the_one_of_its_start_bills() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let session = world.session(driver, Session { tariff: None, ..Session::default() }).await;
    world.bill(session).await.unwrap();
    assert_eq!(world.one("SELECT amount::text FROM invoices").await, "11.3300");
    assert_eq!(world.one("SELECT tariff_id FROM invoices").await, support::EVERYONES);
}

#[tokio::test]
async fn nothing_to_pay_is_an_invoice_too() {
    let world = World::new().await;
    let (driver, free) = (world.driver("5.00").await, Uuid::now_v7());
    world
        .run(&format!(
            "INSERT INTO tariffs (id, station_id, currency, per_kwh, vat_rate, valid_from)
             VALUES ('{free}', '{}', 'EUR', 0, 0.19, '2020-01-01')",
            world.station
        ))
        .await;
    let session = world.session(driver, Session { tariff: Some(free), ..Session::default() }).await;
    world.bill(session).await.unwrap();
    let events = world.events("PAYMENT_COMPLETED").await;
    assert_eq!([&events[0]["amount"], &events[0]["method"]], ["0.00", "NONE"]);
    assert_eq!(world.one("SELECT status FROM invoices").await, "PAID");
    assert_eq!(world.one("SELECT count(*) FROM invoice_lines").await, 1);
    assert_eq!(world.one("SELECT count(*) FROM wallet_entries").await, 1);
}

#[tokio::test]
async fn a_wallet_pays_only_in_its_own_currency() {
    let world = World::new().await;
    let (driver, yen) = (world.driver("5000.00").await, Uuid::now_v7());
    world
        .run(&format!(
            "INSERT INTO tariffs (id, station_id, currency, per_kwh, vat_rate, valid_from)
             VALUES ('{yen}', '{}', 'JPY', 33.3, 0.1, '2020-01-01')",
            world.station
        ))
        .await;
    let session = world.session(driver, Session { tariff: Some(yen), ..Session::default() }).await;
    world.bill(session).await.unwrap();
    let generated = world.events("INVOICE_GENERATED").await;
    assert_eq!([&generated[0]["amount"], &generated[0]["currency"]], ["746", "JPY"]);
    assert_eq!(world.one("SELECT wallet_balance::text FROM users").await, "5000.0000");
}

#[tokio::test]
async fn sessions_of_one_driver_never_use_the_fair_use_twice() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let period = world.flat_rate(driver, "50").await;
    // 6 × 22.4 kWh, of which 50 kWh are covered.
    let mut events = Vec::new();
    for _ in 0..6 {
        events.push(world.ended(world.session(driver, Session::default()).await).await);
    }
    let deliveries = events.iter().chain(&events).map(|event| world.biller.bill(event, world.now));
    for (event, result) in events.iter().chain(&events).zip(join_all(deliveries).await) {
        // Whoever met too many others is delivered again.
        if let Err(failure) = result {
            assert!(failure.retryable(), "{failure}");
            world.biller.bill(event, world.now).await.unwrap();
        }
    }
    let used =
        world.one(&format!("SELECT used_kwh::text FROM subscription_periods WHERE id = '{period}'")).await;
    assert_eq!(used, "50.0000");
    // 84.4 kWh × 0.29, each session's share rounded by itself: 0.00 + 0.00 + 17.2 × 0.29 + 3 × 22.4 × 0.29
    assert_eq!(world.one("SELECT sum(amount)::text FROM invoices").await, "24.4900");
    let covered = "SELECT sum(quantity)::text FROM invoice_lines WHERE description LIKE '%within%'";
    assert_eq!(world.one(covered).await, "50.0");
    assert_eq!(
        world.one("SELECT count(*) FROM invoices WHERE plan_id IS NULL OR tariff_id IS NOT NULL").await,
        0
    );
    assert_eq!(world.one("SELECT count(*) FROM invoices").await, 6);
}
