//! Who sees which invoices, and in what order.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use billing::{Invoice, InvoiceKind, invoice, invoices};
use serde_json::{Value, json};
use shared::{Caller, Failure, InvoiceId, Page};
use support::{Session, World, at, read};

async fn list(world: &World, caller: &Caller, arguments: Value) -> Result<Page<Invoice>, Failure> {
    invoices(&world.database, caller, read(arguments)).await
}

async fn numbers(world: &World, caller: &Caller, arguments: Value) -> Vec<String> {
    let page = list(world, caller, arguments).await.unwrap();
    page.edges.into_iter().map(|edge| edge.node.number).collect()
}

#[tokio::test]
async fn an_invoice_tells_all_of_itself() {
    let world = World::new().await;
    let driver = world.driver("0").await;
    let session = world.session(driver, Session::default()).await;
    world.bill(session).await.unwrap();
    let page = list(&world, &world.caller(driver), json!({})).await.unwrap();
    let mut shown = serde_json::to_value(&page.edges[0].node).unwrap();
    let id = shown["id"].take();
    let eur = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
    assert_eq!(
        shown,
        json!({
            "id": null, "number": "2026-A-000001", "kind": "SESSION", "sessionId": session, "subscriptionId": null,
            "bookingId": null, "correctsInvoiceId": null, "amount": eur("11.33"), "net": eur("9.52"), "vat": eur("1.81"),
            "vatRate": "0.19",
            "lines": [
                {
                    "description": "Energy", "quantity": "22.4", "unit": "kWh", "unitPrice": "0.49",
                    "amount": eur("10.98"),
                },
                {
                    "description": "Start fee", "quantity": "1", "unit": "session", "unitPrice": "0.35",
                    "amount": eur("0.35"),
                },
            ],
            "due": eur("11.33"), "refunded": eur("0.00"), "energyKWh": 22.4, "dueDate": "2026-03-07",
            "status": "PENDING", "createdAt": "2026-02-21T14:31:02.345Z",
        })
    );
    let id: InvoiceId = read(id);
    let alone = invoice(&world.database, &world.caller(driver), read(json!({ "id": id }))).await.unwrap();
    assert_eq!(alone, page.edges[0].node);
}

#[tokio::test]
async fn an_invoice_is_its_owners_and_the_operators() {
    let world = World::new().await;
    let (driver, other) = (world.driver("0").await, world.driver("0").await);
    let issued = world.issue(driver, "11.90", "EUR", "2026-03-01").await;
    let asked = json!({ "id": issued["invoiceId"] });
    let mine = invoice(&world.database, &world.caller(driver), read(asked.clone())).await.unwrap();
    assert_eq!((mine.kind, mine.number.as_str()), (InvoiceKind::Subscription, "2026-A-000001"));
    assert_eq!(invoice(&world.database, &world.operator, read(asked.clone())).await.unwrap(), mine);
    let foreign = invoice(&world.database, &world.caller(other), read(asked.clone())).await;
    assert!(matches!(foreign, Err(Failure::NotFound("invoice"))));
    let nobody = Caller { user: None, ..world.caller(driver) };
    let anonymous = invoice(&world.database, &nobody, read(asked)).await;
    assert!(matches!(anonymous, Err(Failure::Unauthenticated(_))));

    assert_eq!(numbers(&world, &world.caller(other), json!({})).await, Vec::<String>::new());
    let foreign = list(&world, &world.caller(other), json!({ "userId": driver })).await;
    assert!(matches!(foreign, Err(Failure::Forbidden(_))));
    assert_eq!(numbers(&world, &world.caller(driver), json!({ "userId": driver })).await, ["2026-A-000001"]);
    assert_eq!(numbers(&world, &world.operator, json!({ "userId": driver })).await, ["2026-A-000001"]);
    assert_eq!(numbers(&world, &world.operator, json!({})).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_list_is_read_in_pages_newest_first_and_narrowed_by_time_and_status() {
    let mut world = World::new().await;
    let driver = world.driver("0").await;
    // Three a moment, to the microsecond apart within a millisecond.
    for moment in ["2026-02-21T00:00:00.000100Z", "2026-02-22T00:00:00.000Z", "2026-02-23T23:59:59.999999Z"] {
        world.now = at(moment);
        for _ in 0..3 {
            world.issue(driver, "5.00", "EUR", "2026-03-01").await;
        }
    }
    world.run("UPDATE invoices SET status = 'OVERDUE' WHERE number = '2026-A-000005'").await;
    let owner = world.caller(driver);
    for first in [1, 2, 4, 9, 100] {
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = list(&world, &owner, json!({ "first": first, "after": after })).await.unwrap();
            seen.extend(page.edges.iter().map(|edge| (edge.node.created_at, edge.node.id)));
            if !page.page_info.has_next_page {
                break;
            }
            after = serde_json::to_value(page.page_info.end_cursor).unwrap();
        }
        assert_eq!(seen.len(), 9, "{first}");
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{first}: {seen:?}");
    }

    let mut day =
        numbers(&world, &owner, json!({ "from": "2026-02-22T00:00:00Z", "to": "2026-02-23T23:59:59.999Z" }))
            .await;
    day.sort();
    assert_eq!(day, ["2026-A-000004", "2026-A-000005", "2026-A-000006"]);
    assert_eq!(numbers(&world, &owner, json!({ "from": "2026-02-23T00:00:00Z" })).await.len(), 3);
    assert_eq!(numbers(&world, &owner, json!({ "to": "2026-02-23T01:00:00+01:00" })).await.len(), 6);
    assert_eq!(numbers(&world, &owner, json!({ "status": "OVERDUE" })).await, ["2026-A-000005"]);
    assert_eq!(numbers(&world, &owner, json!({ "status": "PENDING" })).await.len(), 8);
    let bad = list(&world, &owner, json!({ "after": "bm9uc2Vuc2U" })).await;
    assert!(matches!(bad, Err(Failure::Invalid { .. })));
}
