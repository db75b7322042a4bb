//! A card's number, wherever a client may write it: it is refused or it is lost, and no table, event or log shows it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::{Arc, Mutex};

use serde_json::json;
use shared::Role;
use support::World;

#[tokio::test]
async fn no_table_and_no_log_ever_shows_a_cards_number() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    tracing_subscriber::fmt()
        .with_env_filter("info,payment=trace,shared=trace")
        .with_writer(move || Line(Arc::clone(&lines)))
        .init();
    let world = World::new().await;
    let (driver, operator) = (world.driver("0").await, world.driver("0").await);
    let invoice = world.invoice(driver, "10.00", "EUR").await;
    let corpus = include_str!("../../../shared/tests/pans.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut told = String::new();
    let mut numbers = Vec::new();
    for number in corpus {
        numbers.push(number);
        // Keys have visible ASCII alone; where they are taken, they are a hash from then on.
        let key = number.replace(|c: char| !c.is_ascii_graphic(), "-");
        for card in [
            number.to_owned(),
            format!("pm_{number}"),
            format!("pm_x{}y", number.replace([' ', '-', '.'], "_")),
        ] {
            let input = json!({ "invoiceId": invoice, "paymentMethod": card, "idempotencyKey": key });
            told += &world.pay(driver, input).await.unwrap_err().to_string();
            told += &world.top_up(driver, "5.00", &card, &key).await.unwrap_err().to_string();
        }
        told += &world.top_up(driver, number, "pm_card_visa", "k").await.unwrap_err().to_string();
        let topped_up = world.top_up(driver, "5.00", "pm_card_visa", &key).await;
        told += &topped_up.map_or_else(|failure| failure.to_string(), |payment| format!("{payment:?}"));
        let input = json!({ "invoiceId": invoice, "reason": format!("to {number}"), "idempotencyKey": key });
        let arguments = shared::read_fields(json!({ "input": input })).unwrap();
        let refund =
            payment::refund(&world.payments, &world.caller(operator, Role::Operator), arguments).await;
        told += &refund.unwrap_err().to_string();
    }
    let tables = world
        .text(
            "SELECT string_agg(query_to_xml(format('SELECT * FROM %I', tablename), true, false, '')::text, '')
             FROM pg_tables WHERE schemaname = 'public'",
        )
        .await;
    assert!(tables.contains("pm_card_visa") && tables.contains(&driver.to_string()));
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(log.contains("payment settled"));
    for number in numbers {
        let (dashed, bare) = (number.replace(' ', "-"), number.replace([' ', '-', '.', '_'], ""));
        for text in [&tables, &log, &told] {
            for spelling in [number, &dashed, &bare] {
                assert!(!text.contains(spelling), "{number}");
            }
        }
    }
    world.check_books().await;
}

struct Line(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
