//! A real PostgreSQL with the migrations behind the Data API's door, a real localstripe behind a door that can fail, and
//! a clock that tests set.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unused_imports)]

mod stripe;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use chrono::TimeDelta;
use futures::future::BoxFuture;
use payment::{
    Account, AccountSecret, Hint, Payment, Payments, Provider, Reconciled, Refund, get, pay_invoice,
    reconcile, refund, settle, settle_refund, top_up,
};
use scratch::{CLUSTER, DataApi, Postgres, SECRET, aws, bus};
use serde_json::{Value, json};
use shared::{
    Caller, CorrelationId, Database, Failure, Invocation, InvoiceId, Outbox, Role, Timestamp, User, UserId,
};
use uuid::Uuid;

pub(crate) use stripe::{Fault, LocalStripe, Proxy};

pub(crate) const WEBHOOK_SECRET: &str = "whsec_of_the_tests_0001";
/// What every test but those of timeouts waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) payments: Arc<Payments>,
    pub(crate) outbox: Outbox,
    pub(crate) stripe: LocalStripe,
    /// Between us and the provider.
    pub(crate) proxy: Proxy,
    pub(crate) now: Timestamp,
    sql: tokio_postgres::Client,
    _servers: (DataApi, Postgres),
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(LocalStripe::start(None).await, PATIENCE).await
    }

    pub(crate) async fn with(stripe: LocalStripe, patience: Duration) -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        let config = aws();
        let data = aws_sdk_rdsdata::config::Builder::from(&config).endpoint_url(&door.url).build();
        let database = Database::new(aws_sdk_rdsdata::Client::from_conf(data), CLUSTER, SECRET, "postgres");
        let events = aws_sdk_eventbridge::config::Builder::from(&config).endpoint_url(bus().await).build();
        let outbox = Outbox::new(database, aws_sdk_eventbridge::Client::from_conf(events), "bus");
        let proxy = Proxy::start(&stripe.url).await;
        let secret = AccountSecret::given(account(&proxy.url));
        let payments = Payments::new(outbox.clone(), Provider::new(secret, patience).unwrap());
        Self {
            payments: Arc::new(payments),
            outbox,
            stripe,
            proxy,
            now: chrono::Utc::now(),
            sql: postgres.connect().await,
            _servers: (door, postgres),
        }
    }

    /// A driver whose wallet holds that many euros.
    pub(crate) async fn driver(&self, euros: &str) -> UserId {
        let id = UserId::new();
        let tag = Uuid::new_v4();
        self.run(&format!(
            "INSERT INTO users (id, email, name, password_hash, id_tag, created_at, updated_at)
             VALUES ('{id}', '{tag}@example.com', 'D', '-', '{tag}', now(), now())"
        ))
        .await;
        if euros != "0" {
            self.run(&format!(
                "SELECT post_wallet_entry(gen_random_uuid(), '{id}', {euros}, 'EUR', 'CREDIT', '{tag}', 'seed', now())"
            ))
            .await;
        }
        id
    }

    /// An unpaid invoice. The wallet is kept out of it.
    pub(crate) async fn invoice(&self, owner: UserId, amount: &str, currency: &str) -> InvoiceId {
        let id = InvoiceId::new();
        let invoice = json!({
            "id": id, "entryId": Uuid::new_v4(), "userId": owner, "kind": "SUBSCRIPTION", "currency": currency,
            "gross": amount, "net": amount, "vat": "0", "vatRate": "0", "dueDate": "2030-01-01", "reason": "r",
            "lines": [{ "description": "d", "quantity": "1", "unit": "month", "unitPrice": amount, "amount": amount }],
        });
        // So that it is not paid at once, the wallet looks elsewhere meanwhile.
        self.run(&format!(
            "BEGIN;
             UPDATE users SET wallet_currency = 'XXX' WHERE id = '{owner}';
             SELECT issue_invoice('{invoice}', now(), gen_random_uuid());
             UPDATE users SET wallet_currency = 'EUR' WHERE id = '{owner}';
             COMMIT"
        ))
        .await;
        id
    }

    pub(crate) fn caller(&self, user: UserId, role: Role) -> Caller {
        Caller {
            user: Some(User { id: user, roles: vec![role] }),
            correlation_id: CorrelationId::new(),
            source_ip: None,
            at: self.now,
        }
    }

    /// The same world, later.
    pub(crate) fn later(&mut self, minutes: i64) {
        self.now += TimeDelta::minutes(minutes);
    }

    pub(crate) async fn pay(&self, payer: UserId, input: Value) -> Result<Payment, Failure> {
        let arguments = shared::read_fields(json!({ "input": input }))?;
        pay_invoice(&self.payments, &self.caller(payer, Role::Driver), arguments).await
    }

    /// By card alone.
    pub(crate) async fn pay_by(
        &self,
        payer: UserId,
        invoice: InvoiceId,
        card: &str,
    ) -> Result<Payment, Failure> {
        let key = Uuid::new_v4().to_string();
        let input = json!({
            "invoiceId": invoice, "useWallet": false, "paymentMethod": card, "idempotencyKey": key,
        });
        self.pay(payer, input).await
    }

    pub(crate) async fn top_up(
        &self,
        payer: UserId,
        amount: &str,
        card: &str,
        key: &str,
    ) -> Result<Payment, Failure> {
        let arguments = shared::read_fields(json!({ "input": {
            "amount": amount, "currency": "EUR", "paymentMethod": card, "idempotencyKey": key,
        } }))?;
        top_up(&self.payments, &self.caller(payer, Role::Driver), arguments).await
    }

    pub(crate) async fn get(&self, caller: &Caller, payment: &Payment) -> Result<Payment, Failure> {
        get(&self.payments, caller, shared::read_fields(json!({ "id": payment.id })).unwrap()).await
    }

    pub(crate) async fn refund(&self, operator: UserId, input: Value) -> Result<Refund, Failure> {
        let mut input = input;
        if input["idempotencyKey"].is_null() {
            input["idempotencyKey"] = json!(Uuid::new_v4().to_string());
        }
        input["reason"] = json!("Goodwill");
        let arguments = shared::read_fields(json!({ "input": input }))?;
        refund(&self.payments, &self.caller(operator, Role::Operator), arguments).await
    }

    pub(crate) async fn settle_refund(
        &self,
        operator: UserId,
        refund: &Refund,
        settlement: &str,
    ) -> Result<Refund, Failure> {
        let input = json!({ "refundId": refund.id, "settlement": settlement, "reason": "The bank says so" });
        let arguments = shared::read_fields(json!({ "input": input }))?;
        settle_refund(&self.outbox, &self.caller(operator, Role::Operator), arguments).await
    }

    pub(crate) async fn reconcile(&self) -> Reconciled {
        let invocation = Invocation { at: self.now, deadline: self.now + TimeDelta::minutes(2) };
        let request = shared::read_fields(json!({})).unwrap();
        reconcile(&self.payments, invocation, request).await.unwrap()
    }

    pub(crate) async fn balance(&self, user: UserId) -> String {
        self.text(&format!("SELECT round(wallet_balance, 2) FROM users WHERE id = '{user}'")).await
    }

    /// `PAID 8.00`: the invoice's status and what was paid of it.
    pub(crate) async fn invoice_state(&self, invoice: InvoiceId) -> String {
        self.text(&format!(
            "SELECT status || ' ' || round(paid_amount, 2) FROM invoices WHERE id = '{invoice}'"
        ))
        .await
    }

    /// What must hold at every moment: balances are the ledger's sums, and what is counted as paid was paid. Every event
    /// passes its schema.
    pub(crate) async fn check_books(&self) {
        let wrong = self
            .text(
                "SELECT count(*) FROM users WHERE wallet_balance <> (
                     SELECT COALESCE(sum(amount), 0) FROM wallet_entries WHERE user_id = users.id
                 )",
            )
            .await;
        assert_eq!(wrong, "0", "balances that are not the ledger's");
        let wrong = self
            .text(
                "SELECT count(*) FROM invoices WHERE kind <> 'CREDIT_NOTE' AND paid_amount <> (
                     SELECT COALESCE(sum(amount), 0) FROM payments WHERE invoice_id = invoices.id AND status = 'SUCCEEDED'
                 )",
            )
            .await;
        assert_eq!(wrong, "0", "invoices that were paid by nobody");
        let wrong = self
            .text(
                "SELECT count(*) FROM payments WHERE from_wallet <> -COALESCE((
                     SELECT sum(amount) FROM wallet_entries
                     WHERE cause IN ('PAYMENT', 'PAYMENT_REVERSAL') AND cause_id = payments.id::text
                 ), 0) AND NOT (status = 'FAILED' AND COALESCE((
                     SELECT sum(amount) FROM wallet_entries
                     WHERE cause IN ('PAYMENT', 'PAYMENT_REVERSAL') AND cause_id = payments.id::text
                 ), 0) = 0)",
            )
            .await;
        assert_eq!(wrong, "0", "payments that took another amount from the wallet");
        for event_type in ["PAYMENT_COMPLETED", "PAYMENT_FAILED", "PAYMENT_REFUNDED"] {
            let schema = read(&format!("schemas/{event_type}"));
            let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
            for event in self.events(event_type).await {
                schema.validate(&event).unwrap_or_else(|error| panic!("{event_type}: {error}: {event}"));
            }
        }
    }

    pub(crate) async fn events(&self, event_type: &str) -> Vec<Value> {
        let sql = "SELECT payload FROM outbox WHERE event_type = $1 ORDER BY position";
        self.sql.query(sql, &[&event_type]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    /// The first column of the first row, as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let row = self.sql.query_one(&format!("SELECT COALESCE(({sql})::text, '')"), &[]).await.unwrap();
        row.get(0)
    }
}

pub(crate) fn account(url: &str) -> Account {
    serde_json::from_value(
        json!({ "apiKey": "sk_test_1234", "webhookSecrets": [WEBHOOK_SECRET], "url": url }),
    )
    .unwrap()
}

/// A sample event, or a schema.
pub(crate) fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The code of a conflict.
pub(crate) fn conflict<T: std::fmt::Debug>(result: Result<T, Failure>) -> &'static str {
    match result.unwrap_err() {
        Failure::Conflict { code, .. } => code,
        failure => panic!("{failure:?}"),
    }
}

/// An invoice of 10.00 that a driver with `wallet` paid, the rest of it by card; and an operator.
pub(crate) async fn paid(world: &World, wallet: &str) -> (UserId, UserId, InvoiceId) {
    let driver = world.driver(wallet).await;
    let invoice = world.invoice(driver, "10.00", "EUR").await;
    let input = json!({ "invoiceId": invoice, "paymentMethod": "pm_card_visa", "idempotencyKey": invoice });
    world.pay(driver, input).await.unwrap();
    (driver, world.driver("0").await, invoice)
}

/// The bank sends a card's refund back, and the provider tells so.
pub(crate) async fn send_back(world: &World, refund: &Refund, event: &str, reason: &str) {
    let card_refund =
        world.text(&format!("SELECT provider_ref FROM refunds WHERE id = '{}'", refund.id)).await;
    let hint: Hint = serde_json::from_value(json!({
        "eventId": event, "eventType": "refund.failed", "refundId": card_refund,
        "correlationId": "018f4c6e-2a8b-7c11-9d52-3f6b1f0a7c44",
    }))
    .unwrap();
    let end: &'static str = Box::leak(card_refund.clone().into_boxed_str());
    let failed = json!({ "id": card_refund, "status": "failed", "failure_reason": reason });
    world.proxy.fail(Method::GET, end, Fault::Answer(200, failed));
    settle(&world.payments, &hint, world.now).await.unwrap();
}
