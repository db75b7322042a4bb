//! A real PostgreSQL with the migrations, behind the Data API's door, beside a bus that takes every event.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::sync::Arc;

use chrono::TimeDelta;
use scratch::{CLUSTER, DataApi, Postgres, SECRET, aws, bus};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::{
    Caller, CorrelationId, Database, Failure, Invocation, Outbox, PlanId, Role, StationId, Timestamp, User,
    UserId,
};
use tariff::{Plan, PlanSubscription, Renewed};

pub(crate) const DEFAULT_TARIFF: &str = "00000000-0000-4000-8000-000000000001";

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) outbox: Outbox,
    sql: Arc<tokio_postgres::Client>,
    _servers: Arc<(DataApi, Postgres)>,
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn caller(id: UserId, roles: &[Role], at: Timestamp) -> Caller {
    let user = Some(User { id, roles: roles.to_vec() });
    Caller { user, correlation_id: CorrelationId::new(), source_ip: None, at }
}

pub(crate) fn operator(now: Timestamp) -> Caller {
    caller(UserId::new(), &[Role::Driver, Role::Operator], now)
}

pub(crate) fn driver(id: UserId, now: Timestamp) -> Caller {
    caller(id, &[Role::Driver], now)
}

/// Arguments as AppSync passes them.
pub(crate) fn arguments<A: DeserializeOwned>(json: Value) -> A {
    shared::read_fields(json).unwrap()
}

/// `Conflict TARIFF_OVERLAPS`, `NotFound there is no such plan`, …
pub(crate) fn refusal<T>(result: Result<T, Failure>) -> String {
    match result.map(|_| ()).unwrap_err() {
        Failure::Conflict { code, .. } => format!("Conflict {code}"),
        failure => format!("{} {failure}", failure.error_type()),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        let config = aws();
        let data = aws_sdk_rdsdata::config::Builder::from(&config).endpoint_url(&door.url).build();
        let database = Database::new(aws_sdk_rdsdata::Client::from_conf(data), CLUSTER, SECRET, "postgres");
        let bus = aws_sdk_eventbridge::config::Builder::from(&config).endpoint_url(bus().await).build();
        let sql = Arc::new(postgres.connect().await);
        Self {
            outbox: Outbox::new(database, aws_sdk_eventbridge::Client::from_conf(bus), "bus"),
            sql,
            _servers: Arc::new((door, postgres)),
        }
    }

    pub(crate) fn database(&self) -> &Database {
        self.outbox.database()
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The first column of the first row.
    pub(crate) async fn one(&self, sql: &str) -> Value {
        let row = self.sql.query_one(&format!("SELECT to_jsonb(({sql}))"), &[]).await;
        let value: Option<Value> = row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0);
        value.unwrap_or_default()
    }

    pub(crate) async fn station(&self, operator: Option<&str>) -> StationId {
        let id = StationId::new();
        let operator = operator.map_or("NULL".to_owned(), |name| format!("'{name}'"));
        self.run(&format!(
            "INSERT INTO stations (id, name, latitude, longitude, status, operator, updated_at)
             VALUES ('{id}', 'S', 0, 0, 'OPERATIONAL', {operator}, now())"
        ))
        .await;
        id
    }

    /// With so much in a wallet of that currency.
    pub(crate) async fn driver(&self, balance: &str, currency: &str) -> UserId {
        let id = UserId::new();
        self.run(&format!(
            "INSERT INTO users (id, email, name, password_hash, id_tag, wallet_currency, created_at, updated_at)
             VALUES ('{id}', '{id}@example.com', 'D', '-', '{id}', '{currency}', now(), now())"
        ))
        .await;
        if balance != "0" {
            self.run(&format!(
                "SELECT post_wallet_entry(gen_random_uuid(), '{id}', {balance}, '{currency}', 'CREDIT', '{id}', 'test',
                                          '2026-01-01')"
            ))
            .await;
        }
        id
    }

    pub(crate) async fn balance(&self, driver: UserId) -> String {
        let balance = self
            .one(&format!("SELECT round(wallet_balance, 2)::text FROM users WHERE id = '{driver}'"))
            .await;
        balance.as_str().unwrap().to_owned()
    }

    /// A flat rate of 49 EUR and 300 kWh.
    pub(crate) async fn plan(&self, now: Timestamp) -> Plan {
        let input = json!({
            "name": "JUCR Flat", "currency": "EUR", "monthlyPrice": "49.00", "fairUseKWh": "300",
            "perKWhBeyond": "0.39", "vatRate": "0.19", "reason": "test",
        });
        let arguments = arguments(json!({ "input": input }));
        tariff::create_plan(self.database(), &operator(now), arguments).await.unwrap()
    }

    pub(crate) async fn subscribe(
        &self,
        id: UserId,
        plan: PlanId,
        key: &str,
        now: Timestamp,
    ) -> Result<PlanSubscription, Failure> {
        let arguments = arguments(json!({ "input": { "planId": plan, "idempotencyKey": key } }));
        tariff::subscribe_to_plan(&self.outbox, &driver(id, now), arguments).await
    }

    pub(crate) async fn renew(&self, now: Timestamp) -> Renewed {
        let deadline = chrono::Utc::now() + TimeDelta::minutes(5);
        tariff::renew_subscriptions(&self.outbox, Invocation { at: now, deadline }).await.unwrap()
    }

    pub(crate) async fn coverage(&self, driver: UserId, moment: &str) -> Value {
        self.one(&format!("SELECT subscription_coverage('{driver}', '{moment}')")).await
    }

    /// The types of all events of a driver, in order; each is what its schema says.
    pub(crate) async fn events(&self, driver: UserId) -> Vec<String> {
        let sql =
            "SELECT payload FROM outbox WHERE payload ->> 'userId' = $1::text ORDER BY created_at, ctid";
        let rows = self.sql.query(sql, &[&driver.to_string()]).await.unwrap();
        let events = rows.iter().map(|row| {
            let event: Value = row.get(0);
            let event_type = event["eventType"].as_str().unwrap().to_owned();
            let schema = jsonschema::validator_for(&read(&format!("schemas/{event_type}"))).unwrap();
            schema.validate(&event).unwrap_or_else(|error| panic!("{event}: {error}"));
            event_type
        });
        events.collect()
    }
}

/// `events/<path>.json`
pub(crate) fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
