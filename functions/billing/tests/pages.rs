//! Invoices in a browser: only by a link of ours, and nothing in them but text.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use billing::{InvoiceLinks, Pages, Seller, invoice_page_link};
use chrono::TimeDelta;
use lambda_http::Response;
use serde_json::{Value, json};
use shared::{Caller, Failure, Role, Timestamp};
use support::{Session, World, at, read};

const BASE: &str = "https://api.example.com/v1/invoices";

struct Counter {
    world: World,
    links: InvoiceLinks,
    pages: Pages,
}

impl Counter {
    async fn open() -> Self {
        let world = World::new().await;
        rotate(&world, 'k');
        let seller = Seller {
            name: "Charge & Co".into(),
            address: "Example Street 1\n10115 Berlin".into(),
            vat_id: "DE000000000".into(),
        };
        let links = InvoiceLinks::new(world.database.clone(), world.link_keys(), BASE);
        let pages = Pages::new(world.database.clone(), world.link_keys(), seller);
        Self { world, links, pages }
    }

    async fn link(&self, caller: &Caller, invoice: &Value) -> Result<String, Failure> {
        let page = invoice_page_link(&self.links, caller, read(json!({ "id": invoice }))).await?;
        assert_eq!(page.expires_at, at("2026-02-21T14:46:02Z"));
        Ok(page.url)
    }

    /// What a browser gets for an address.
    async fn visit(&self, url: &str, now: Timestamp) -> Response<String> {
        let path = format!("{}/../../events/invoice-page.json", env!("CARGO_MANIFEST_DIR"));
        let mut event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (id, query) = url.strip_prefix(BASE).unwrap().trim_start_matches('/').split_once('?').unwrap();
        event["rawPath"] = json!(format!("/invoices/{id}"));
        event["pathParameters"] = json!({ "id": id });
        event["rawQueryString"] = json!(query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        event["queryStringParameters"] = pairs.map(|(key, value)| (key.to_owned(), json!(value))).collect();
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        self.pages.answer(&request, now).await.unwrap()
    }

    async fn status(&self, url: &str, now: Timestamp) -> u16 {
        self.visit(url, now).await.status().as_u16()
    }
}

fn rotate(world: &World, key: char) {
    world.secret.lock().unwrap().0 = json!({ "key": key.to_string().repeat(43) }).to_string();
}

#[tokio::test]
async fn a_link_opens_its_invoice_for_a_quarter_of_an_hour() {
    let counter = Counter::open().await;
    let world = &counter.world;
    let (driver, other) = (world.driver("0").await, world.driver("0").await);
    let (mine, foreign) = (
        world.issue(driver, "11.90", "EUR", "2026-03-01").await["invoiceId"].clone(),
        world.issue(other, "99.00", "EUR", "2026-03-01").await["invoiceId"].clone(),
    );
    let owner = world.caller(driver);
    let link = counter.link(&owner, &mine).await.unwrap();
    assert!(
        link.starts_with(&format!("{BASE}/{}?expires=1771685162&signature=", mine.as_str().unwrap())),
        "{link}"
    );
    let refused = counter.link(&owner, &foreign).await;
    assert!(matches!(refused, Err(Failure::NotFound("invoice"))));
    assert!(counter.link(&world.operator, &foreign).await.is_ok());

    for (later, status) in [(0, 200), (899, 200), (900, 403), (100_000, 403)] {
        assert_eq!(counter.status(&link, world.now + TimeDelta::seconds(later)).await, status, "{later}");
    }
    let forged = [
        link.replace(mine.as_str().unwrap(), foreign.as_str().unwrap()),
        link.replace("expires=1771685162", "expires=1771685163"),
        link.replace("expires=1771685162", "expires=99999999999999999999"),
        link.replace("expires=1771685162", "expires=-1"),
        link.replace("expires=1771685162", "expires="),
        link.replace("signature=", "signature=A"),
        link.replace("signature=", "other="),
        link[..link.len() - 1].to_owned(),
        format!("{link}="),
        format!("{link}A"),
        format!("{BASE}/{}?", mine.as_str().unwrap()),
        link.replace(mine.as_str().unwrap(), "1"),
        link.replace(mine.as_str().unwrap(), "%3Cscript%3E"),
    ];
    for link in &forged {
        let answer = counter.visit(link, world.now).await;
        assert_eq!(answer.status(), 403, "{link}");
        assert!(!answer.body().contains("11.90") && !answer.body().contains("script"), "{link}");
    }
    // However many are forged, the secret is not asked for each time.
    assert!(world.secret.lock().unwrap().1 <= 4);

    world.run("DELETE FROM invoices").await;
    assert_eq!(counter.status(&link, world.now).await, 404);
}

#[tokio::test]
async fn an_operators_link_opens_a_page_without_the_customer_and_is_noted() {
    let counter = Counter::open().await;
    let world = &counter.world;
    let driver = world.driver("0").await;
    let invoice = world.issue(driver, "11.90", "EUR", "2026-03-01").await["invoiceId"].clone();
    let noted = format!(
        "SELECT jsonb_agg(jsonb_build_array(actor_id, correlation_id)) FROM audit_log
         WHERE action = 'INVOICE_PAGE_LINKED' AND subject = '{}'",
        invoice.as_str().unwrap()
    );
    let own = counter.link(&world.caller(driver), &invoice).await.unwrap();
    assert_eq!(world.one(&noted).await, Value::Null);
    let link = counter.link(&world.operator, &invoice).await.unwrap();
    let operator = world.operator.user().unwrap().id;
    assert_eq!(world.one(&noted).await, json!([[operator, world.operator.correlation_id]]));

    let told = |page: &str| page.contains("Lovelace") || page.contains("@example.com");
    let page = counter.visit(&link, world.now).await;
    assert_eq!(page.status(), 200);
    assert!(page.body().contains("<dt>Customer</dt><dd>withheld</dd>"), "{}", page.body());
    assert!(page.body().contains("11.90 EUR") && !told(page.body()), "{}", page.body());
    assert!(told(counter.visit(&own, world.now).await.body()));
    for flipped in [
        link.replace("&customer=withheld", ""),
        link.replace("customer=withheld", "customer="),
        link.replace("customer=withheld", "customer=in-full"),
        link.replace("customer=withheld", "Customer=withheld"),
        own.replace("&signature", "&customer=withheld&signature"),
    ] {
        assert_eq!(counter.status(&flipped, world.now).await, 403, "{flipped}");
    }

    // An operator's own invoice is a customer's.
    let mine = support::caller(driver, &[Role::Driver, Role::Operator], world.now);
    let link = counter.link(&mine, &invoice).await.unwrap();
    assert!(told(counter.visit(&link, world.now).await.body()));
    assert_eq!(world.one(&noted).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_rotated_key_opens_new_links_and_no_old_ones() {
    let counter = Counter::open().await;
    let world = &counter.world;
    let driver = world.driver("0").await;
    let invoice = world.issue(driver, "11.90", "EUR", "2026-03-01").await["invoiceId"].clone();
    let old = counter.link(&world.caller(driver), &invoice).await.unwrap();
    assert_eq!(counter.status(&old, world.now).await, 200);
    rotate(world, 'r');
    let links = InvoiceLinks::new(world.database.clone(), world.link_keys(), BASE);
    let page =
        invoice_page_link(&links, &world.caller(driver), read(json!({ "id": invoice }))).await.unwrap();
    let soon = world.now + TimeDelta::seconds(10);
    assert_eq!(counter.status(&page.url, soon).await, 200);
    assert_eq!(counter.status(&old, soon).await, 403);
}

#[tokio::test]
async fn a_page_says_what_an_invoice_must_and_runs_nothing() {
    let counter = Counter::open().await;
    let world = &counter.world;
    let driver = world.driver("50.00").await;
    let session = world.session(driver, Session::default()).await;
    world.bill(session).await.unwrap();
    let hostile = r#"<script>alert(1)</script><b onmouseover="x">&'"#;
    world
        .run(&format!(
            "UPDATE users SET name = $q${hostile}$q$;
             UPDATE invoices SET lines = jsonb_set(lines, '{{0,description}}', to_jsonb($q${hostile}$q$::text))"
        ))
        .await;
    let invoice = world.one("SELECT id FROM invoices").await;
    let link = counter.link(&world.caller(driver), &invoice).await.unwrap();
    let answer = counter.visit(&link, world.now).await;
    let page = answer.body();
    for text in [
        "<h1>Invoice 2026-A-000001</h1>",
        "Charge &amp; Co",
        "10115 Berlin",
        "VAT ID DE000000000",
        "<dt>Date</dt><dd>2026-02-21</dd>",
        "<dt>Customer</dt><dd>&lt;script&gt;alert(1)&lt;/script&gt;&lt;b onmouseover=&quot;x&quot;&gt;&amp;&#39;</dd>",
        &format!("<dd>{driver}@example.com</dd>"),
        "<td>22.4 kWh</td><td>0.49 EUR</td><td>10.98 EUR</td>",
        "Net</th><td>9.52 EUR</td>",
        "VAT 19 %</th><td>1.81 EUR</td>",
        "Total</th><td>11.33 EUR</td>",
        "<dt>Status</dt><dd>Paid</dd>",
        "<dt>Paid</dt><dd>11.33 EUR on 2026-02-21, from the wallet</dd>",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains("<script") && !page.contains("<b "), "{page}");
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");

    // Half of it is given back, and the account goes.
    world
        .run(&format!(
            "SELECT issue_credit_note({}::uuid, gen_random_uuid(), 5, 'secret reason', '2026-02-21', gen_random_uuid());
             UPDATE users SET deleted_at = now(), name = '', email = 'deleted'",
            invoice.to_string().replace('"', "'")
        ))
        .await;
    let page = counter.visit(&link, world.now).await.into_body();
    assert!(page.contains("<dt>Customer</dt><dd>deleted account</dd>") && !page.contains("E-mail"), "{page}");
    assert!(page.contains("<dd>5.00 EUR, credit note CN-2026-A-000001</dd>"), "{page}");
    let note = world.one("SELECT id FROM invoices WHERE kind = 'CREDIT_NOTE'").await;
    let link = counter.link(&world.operator, &note).await.unwrap();
    let page = counter.visit(&link, world.now).await.into_body();
    assert!(page.contains("<h1>Credit note CN-2026-A-000001</h1>"), "{page}");
    assert!(page.contains("corrects invoice 2026-A-000001: the total below is credited to you."), "{page}");
    assert!(page.contains("Total</th><td>-5.00 EUR</td>") && !page.contains("secret reason"), "{page}");
}

#[tokio::test]
async fn a_page_of_a_booking_names_it_and_the_day_it_is_for() {
    let counter = Counter::open().await;
    let world = &counter.world;
    let driver = world.driver("50.00").await;
    let session = world.session(driver, Session::default()).await;
    let (booking, invoice) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let ids = json!({ "invoice": invoice, "entry": uuid::Uuid::new_v4() });
    world
        .run(&format!(
            "INSERT INTO bookings (id, user_id, station_id, connector_id, start_ts, end_ts, status, hold_token, price,
                                   currency, vat_rate, correlation_id, created_at, updated_at)
             SELECT '{booking}', user_id, station_id, connector_id, '2026-02-28T22:30:00Z', '2026-03-01T00:30:00Z',
                    'PENDING', 'hold', 2.50, 'EUR', 0.19, gen_random_uuid(), now(), now()
             FROM sessions WHERE id = '{session}';
             SELECT issue_invoice(booking_invoice(bookings, '{ids}', '2026-02-21'), '2026-02-21', gen_random_uuid())
             FROM bookings"
        ))
        .await;
    let link = counter.link(&world.caller(driver), &json!(invoice)).await.unwrap();
    let page = counter.visit(&link, world.now).await.into_body();
    for text in [
        "<dt>Date of supply</dt><dd>2026-02-28</dd>",
        &format!("<dt>Booking</dt><dd>{booking}</dd>"),
        "<td>Booking from 2026-02-28 22:30 to 2026-03-01 00:30 UTC</td><td>1 booking</td>",
        "Net</th><td>2.10 EUR</td>",
        "<dd>2.50 EUR on 2026-02-21, from the wallet</dd>",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[tokio::test]
async fn without_a_secret_or_a_database_the_page_says_to_come_back() {
    let counter = Counter::open().await;
    let world = &counter.world;
    let driver = world.driver("0").await;
    let invoice = world.issue(driver, "11.90", "EUR", "2026-03-01").await["invoiceId"].clone();
    let link = counter.link(&world.caller(driver), &invoice).await.unwrap();
    assert_eq!(counter.status(&link, world.now).await, 200);
    world.stop();
    let answer = counter.visit(&link, world.now).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.body().contains("<h1>The page is not available now</h1>"));
}

#[tokio::test]
async fn what_was_credited_before_anybody_paid_is_not_said_to_be_paid() {
    let counter = Counter::open().await;
    let world = &counter.world;
    let driver = world.driver("0").await;
    let invoice = world.issue(driver, "11.90", "EUR", "2026-03-01").await["invoiceId"].clone();
    let credit = format!(
        "SELECT issue_credit_note({}::uuid, gen_random_uuid(), 11.90, 'why', '2026-02-21', gen_random_uuid())",
        invoice.to_string().replace('"', "'")
    );
    world.run(&credit).await;
    let link = counter.link(&world.caller(driver), &invoice).await.unwrap();
    let page = counter.visit(&link, world.now).await.into_body();
    assert!(page.contains("<dt>Status</dt><dd>Taken back, nothing to pay</dd>"), "{page}");
    assert!(page.contains("<dt>Credited</dt><dd>11.90 EUR, credit note CN-2026-A-000001</dd>"), "{page}");
    assert!(!page.contains("<dt>Paid</dt>") && !page.contains("<dt>Due</dt>"), "{page}");
}
