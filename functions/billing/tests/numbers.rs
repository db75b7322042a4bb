//! Invoices are numbered without gaps within a year and series, whatever fails and whoever comes at the same time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use futures::future::join_all;
use serde_json::Value;
use shared::Currency;
use support::{Session, World, at};

#[tokio::test]
async fn concurrent_and_failing_bills_leave_no_gap() {
    let world = World::new().await;
    let mut events = Vec::new();
    for number in 0..40_u8 {
        let balance = if number % 4 < 2 { "0" } else { "100.00" };
        let driver = world.driver(balance).await;
        events.push(world.ended(world.session(driver, Session::default()).await).await);
    }
    // Every fourth fails after its number was taken, while it tells of itself.
    world
        .run(
            "CREATE TABLE doomed AS SELECT user_id FROM sessions ORDER BY id LIMIT 10;
             CREATE FUNCTION doom() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF (NEW.payload->>'userId')::uuid IN (SELECT user_id FROM doomed) THEN
                     RAISE EXCEPTION 'no room';
                 END IF;
                 RETURN NEW;
             END;
             $$;
             CREATE TRIGGER doom BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION doom()",
        )
        .await;
    let results = join_all(events.iter().map(|event| world.biller.bill(event, world.now))).await;
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 10);
    assert!(results.iter().flat_map(|result| result.as_ref().err()).all(shared::Failure::retryable));
    assert_eq!(world.gapless_numbers().await.len(), 30);

    world.run("DROP TRIGGER doom ON outbox").await;
    let results = join_all(events.iter().map(|event| world.biller.bill(event, world.now))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(world.gapless_numbers().await.len(), 40);
    assert_eq!(world.events("PAYMENT_COMPLETED").await.len(), 20);
    assert_eq!(world.events("INVOICE_GENERATED").await.len(), 20);
    world.assert_wallets_add_up().await;
}

#[tokio::test]
async fn nobody_waits_for_a_number_and_one_that_is_given_back_is_taken_by_the_next() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let mut other = world.connect().await;
    let unfinished = other.transaction().await.unwrap();
    let taken = unfinished.query_one("SELECT next_number('INVOICE', '', $1)", &[&world.now]).await.unwrap();
    assert_eq!(taken.get::<_, String>(0), "2026-A-000001");

    world.bill(world.session(driver, Session::default()).await).await.unwrap();
    assert_eq!(world.numbers().await, ["2026-B-000001"]);

    unfinished.rollback().await.unwrap();
    world.bill(world.session(driver, Session::default()).await).await.unwrap();
    assert_eq!(world.numbers().await, ["2026-A-000001", "2026-B-000001"]);
}

#[tokio::test]
async fn all_series_may_be_in_use() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let mut others = Vec::new();
    for _ in 0..26 {
        let other = world.connect().await;
        other.batch_execute("BEGIN; SELECT next_number('INVOICE', '', now())").await.unwrap();
        others.push(other);
    }
    let session = world.session(driver, Session::default()).await;
    let finish = async {
        // One that is not asked to wait would be free by then.
        while world.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await
            != 1
        {
            tokio::task::yield_now().await;
        }
        // Which of them is waited for is not told.
        for other in &others {
            other.batch_execute("ROLLBACK").await.unwrap();
        }
    };
    let (billed, ()) = tokio::join!(world.bill(session), finish);
    billed.unwrap();
    assert_eq!(world.gapless_numbers().await.len(), 1);
}

#[tokio::test]
async fn the_year_is_that_of_utc_and_numbers_may_outgrow_six_digits() {
    let mut world = World::new().await;
    let driver = world.driver("0").await;
    for (now, number) in [
        ("2026-12-31T23:59:59.999Z", "2026-A-000001"),
        ("2027-01-01T00:00:00Z", "2027-A-000001"),
        // The clock on a wall in Berlin shows the new year already.
        ("2026-12-31T23:30:00Z", "2026-A-000002"),
    ] {
        world.now = at(now);
        world.bill(world.session(driver, Session::default()).await).await.unwrap();
        assert!(world.numbers().await.contains(&number.to_owned()), "{number}");
    }
    world.run("UPDATE number_series SET last = 999999 WHERE year = 2027").await;
    world.now = at("2027-06-01T00:00:00Z");
    world.bill(world.session(driver, Session::default()).await).await.unwrap();
    assert!(world.numbers().await.contains(&"2027-A-1000000".to_owned()));
}

#[tokio::test]
async fn lines_that_do_not_add_up_are_no_invoice() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let issue = |gross: &str, net: &str, line: &str| {
        format!(
            "SELECT issue_invoice('{{\"id\": \"{}\", \"userId\": \"{driver}\", \"kind\": \"SUBSCRIPTION\",
                 \"currency\": \"EUR\", \"gross\": \"{gross}\", \"net\": \"{net}\", \"vat\": \"1.90\",
                 \"vatRate\": \"0.19\", \"dueDate\": \"2026-03-01\", \"lines\": [{{\"description\": \"d\",
                 \"quantity\": \"1\", \"unit\": \"month\", \"unitPrice\": \"{line}\", \"amount\": \"{line}\"}}]}}',
                 now(), gen_random_uuid())",
            uuid::Uuid::now_v7()
        )
    };
    assert!(world.refuses(&issue("11.90", "10.00", "11.89")).await);
    assert!(world.refuses(&issue("11.90", "9.99", "11.90")).await);
    assert_eq!(world.one("SELECT count(*) FROM number_series").await, 0);
    world.run(&issue("11.90", "10.00", "11.90")).await;
    assert_eq!(world.one("SELECT count(*) FROM invoices").await, 1);
}

#[tokio::test]
async fn the_database_and_the_programs_know_the_same_coins() {
    let world = World::new().await;
    let digits = world
        .one(
            "SELECT jsonb_object_agg(code, minor_digits(code))
             FROM (SELECT chr(a) || chr(b) || chr(c) AS code
                   FROM generate_series(65, 90) AS a, generate_series(65, 90) AS b, generate_series(65, 90) AS c) AS codes",
        )
        .await;
    let digits = digits.as_object().unwrap();
    assert_eq!(digits.len(), 26 * 26 * 26);
    for (code, digits) in digits {
        assert_eq!(digits, &Value::from(code.parse::<Currency>().unwrap().minor_digits()), "{code}");
    }
    assert_eq!(world.one("SELECT coins(1.005, 'EUR') || coins(-1.005, 'EUR')").await, "1.01-1.01");
    assert_eq!(world.one("SELECT coins(3, 'KWD') || ' ' || coins(2.5, 'JPY')").await, "3.000 3");
}
