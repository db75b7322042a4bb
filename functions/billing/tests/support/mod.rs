//! A real PostgreSQL with the migrations, behind the Data API's door, with drivers, sessions and an operator in it.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_config::SdkConfig;
use axum::Json;
use axum::http::HeaderMap;
use billing::{Biller, LinkKeys, SessionEnded};
use scratch::{CLUSTER, DataApi, Postgres, SECRET, aws_at};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::{
    Caller, CorrelationId, Database, Envelope, Failure, Outbox, Role, SessionId, Timestamp, User, UserId,
};
use uuid::Uuid;

/// The tariff of migration 0007: EUR, 0.49 a kWh and 0.35 to start.
pub(crate) const EVERYONES: &str = "00000000-0000-4000-8000-000000000001";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A session as a test wants it.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) kwh: &'static str,
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    pub(crate) tariff: Option<Uuid>,
    pub(crate) status: &'static str,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            kwh: "22.4000",
            started: at("2026-02-21T13:33:00Z"),
            ended: at("2026-02-21T14:31:00Z"),
            tariff: Some(EVERYONES.parse().unwrap()),
            status: "COMPLETED",
        }
    }
}

pub(crate) struct World {
    pub(crate) biller: Biller,
    pub(crate) outbox: Outbox,
    pub(crate) database: Database,
    pub(crate) now: Timestamp,
    pub(crate) operator: Caller,
    pub(crate) station: Uuid,
    /// What Secrets Manager answers for any ARN, and how often it was asked.
    pub(crate) secret: Arc<Mutex<(String, u32)>>,
    connector: Uuid,
    config: SdkConfig,
    sql: tokio_postgres::Client,
    postgres: Postgres,
    _door: DataApi,
}

impl World {
    pub(crate) async fn new() -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        let secret = Arc::new(Mutex::new((String::new(), 0)));
        let aws_url = aws(Arc::clone(&secret)).await;

        let config = aws_at(aws_url);
        let data = aws_sdk_rdsdata::config::Builder::from(&config).endpoint_url(&door.url).build();
        let database = Database::new(aws_sdk_rdsdata::Client::from_conf(data), CLUSTER, SECRET, "postgres");
        let outbox = Outbox::new(database.clone(), aws_sdk_eventbridge::Client::new(&config), "bus");

        let sql = postgres.connect().await;
        let [station, charger, connector] = [(); 3].map(|()| Uuid::now_v7());
        sql.batch_execute(&format!(
            "INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
             VALUES ('{station}', 'S', 0, 0, 'OPERATIONAL', now());
             INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
             VALUES ('{charger}', 'CP-1', '{station}', '-', '2025-01-01');
             INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, updated_at)
             VALUES ('{connector}', '{station}', '{charger}', 1, 'CCS (Type 2)', 50, now())"
        ))
        .await
        .unwrap();
        let now = at("2026-02-21T14:31:02.345Z");
        Self {
            biller: Biller::new(outbox.clone()),
            outbox,
            database,
            now,
            operator: caller(UserId::new(), &[Role::Driver, Role::Operator], now),
            station,
            secret,
            connector,
            config,
            sql,
            postgres,
            _door: door,
        }
    }

    pub(crate) fn link_keys(&self) -> LinkKeys {
        LinkKeys::new(aws_sdk_secretsmanager::Client::new(&self.config), "arn")
    }

    /// A connection beside the world's own.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        self.postgres.connect().await
    }

    /// Takes the database away.
    pub(crate) fn stop(&self) {
        self.postgres.down();
    }

    /// A driver with a wallet that an operator has filled.
    pub(crate) async fn driver(&self, balance: &str) -> UserId {
        let id = UserId::new();
        self.run(&format!(
            "INSERT INTO users (id, email, name, password_hash, id_tag, created_at, updated_at)
             VALUES ('{id}', '{id}@example.com', 'Ada <Lovelace>', '-', '{}', now(), now())",
            &id.to_string()[16..]
        ))
        .await;
        if balance != "0" {
            let input = json!({ "input": {
                "userId": id, "amount": balance, "currency": "EUR", "reason": "start", "idempotencyKey": id,
            } });
            billing::credit(&self.database, &self.operator, read(input)).await.unwrap();
        }
        id
    }

    pub(crate) fn caller(&self, driver: UserId) -> Caller {
        caller(driver, &[Role::Driver], self.now)
    }

    pub(crate) async fn session(&self, driver: UserId, session: Session) -> SessionId {
        let id = SessionId::new();
        let Session { kwh, started, ended, tariff, status } = session;
        let tariff = tariff.map_or("NULL".into(), |tariff| format!("'{tariff}'"));
        self.run(&format!(
            "INSERT INTO sessions (id, user_id, station_id, connector_id, status, start_time, end_time, energy_kwh,
                                   tariff_id, remote_start_id, correlation_id, created_at, updated_at)
             VALUES ('{id}', '{driver}', '{}', '{}', '{status}', '{started}', '{ended}', {kwh}, {tariff}, 1,
                     gen_random_uuid(), '{started}', '{ended}')",
            self.station, self.connector
        ))
        .await;
        id
    }

    /// A flat rate of 0.29 EUR beyond `included` kWh in February, paid, for this driver.
    pub(crate) async fn flat_rate(&self, driver: UserId, included: &str) -> Uuid {
        let [plan, subscription, period, invoice] = [(); 4].map(|()| Uuid::now_v7());
        self.run(&format!(
            "INSERT INTO plans (id, name, currency, monthly_price, fair_use_kwh, per_kwh_beyond, vat_rate, created_at)
             VALUES ('{plan}', 'Flat', 'EUR', 49, 500, 0.29, 0.19, '2026-01-01');
             INSERT INTO subscriptions (id, user_id, plan_id, status, idempotency_key, turns_at, created_at)
             VALUES ('{subscription}', '{driver}', '{plan}', 'ACTIVE', 'k', '2026-03-01', '2026-02-01');
             INSERT INTO subscription_periods (id, subscription_id, starts_at, ends_at, included_kwh, invoice_id)
             VALUES ('{period}', '{subscription}', '2026-02-01', '2026-03-01', {included}, '{invoice}')"
        ))
        .await;
        period
    }

    /// What the bus would tell of a session that has ended.
    pub(crate) async fn ended(&self, session: SessionId) -> Envelope<SessionEnded> {
        let fields = self
            .one(&format!(
                "SELECT session_fields(sessions) || jsonb_build_object('endedAt', rfc3339(end_time))
                 FROM sessions WHERE id = '{session}'"
            ))
            .await;
        envelope(&fields)
    }

    pub(crate) async fn bill(&self, session: SessionId) -> Result<(), Failure> {
        self.biller.bill(&self.ended(session).await, self.now).await
    }

    /// The event of an invoice for a month of a flat rate, as the crate `tariff` issues it, of `gross` with 19 % VAT.
    pub(crate) async fn issue(&self, driver: UserId, gross: &str, currency: &str, due: &str) -> Value {
        let issued = self
            .one(&format!(
                "SELECT issue_invoice(jsonb_build_object(
                     'id', '{}', 'entryId', '{}', 'userId', '{driver}', 'kind', 'SUBSCRIPTION',
                     'currency', '{currency}', 'gross', '{gross}', 'net', net::text, 'vat', ({gross} - net)::text,
                     'vatRate', '0.19', 'dueDate', '{due}', 'reason', 'flat rate',
                     'lines', jsonb_build_array(jsonb_build_object('description', 'Flat rate', 'quantity', '1',
                         'unit', 'month', 'unitPrice', '{gross}', 'amount', '{gross}'))
                 ), '{}', gen_random_uuid())
                 FROM (SELECT round({gross} / 1.19, minor_digits('{currency}')) AS net) AS n",
                Uuid::now_v7(),
                Uuid::now_v7(),
                self.now
            ))
            .await;
        assert_fits_schema(&issued);
        issued
    }

    /// Every event of a type, in order; each fits its schema.
    pub(crate) async fn events(&self, event_type: &str) -> Vec<Value> {
        let query = "SELECT payload FROM outbox WHERE event_type = $1 ORDER BY created_at, ctid";
        let rows = self.sql.query(query, &[&event_type]).await.unwrap();
        let events: Vec<Value> = rows.iter().map(|row| row.get(0)).collect();
        events.iter().for_each(assert_fits_schema);
        events
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    /// Whether PostgreSQL refuses to do that.
    pub(crate) async fn refuses(&self, sql: &str) -> bool {
        self.sql.batch_execute(sql).await.is_err()
    }

    /// The first column of the first row.
    pub(crate) async fn one(&self, sql: &str) -> Value {
        let row = self.sql.query_one(&format!("SELECT to_jsonb(({sql}))"), &[]).await.unwrap();
        row.get::<_, Option<Value>>(0).unwrap_or_default()
    }

    /// The first column of all rows.
    pub(crate) async fn all(&self, sql: &str) -> Vec<Value> {
        let rows = self.sql.query(&format!("SELECT to_jsonb(row) FROM ({sql}) AS row"), &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, Value>(0)).collect()
    }

    /// The numbers of all invoices and credit notes.
    pub(crate) async fn numbers(&self) -> Vec<String> {
        let rows = self.all("SELECT number FROM invoices ORDER BY number").await;
        rows.iter().map(|row| read(row["number"].clone())).collect()
    }

    /// The same, each series having all from its first to its last.
    pub(crate) async fn gapless_numbers(&self) -> Vec<String> {
        let numbers = self.numbers().await;
        let mut series: BTreeMap<&str, u32> = BTreeMap::new();
        for number in &numbers {
            let (name, nth) = number.rsplit_once('-').unwrap();
            let last = series.entry(name).or_default();
            *last += 1;
            assert_eq!(nth, format!("{last:06}"), "{numbers:?}");
        }
        numbers
    }

    /// Every wallet is the sum of its ledger, and each entry follows from the one before.
    pub(crate) async fn assert_wallets_add_up(&self) {
        let wrong = self
            .all(
                "SELECT id FROM users
                 WHERE wallet_balance <> (SELECT COALESCE(sum(amount), 0) FROM wallet_entries WHERE user_id = users.id)
                     OR wallet_balance < 0
                 UNION ALL
                 SELECT id FROM (
                     SELECT *, balance - amount - lag(balance, 1, 0) OVER (PARTITION BY user_id ORDER BY position) AS gap
                     FROM wallet_entries
                 ) AS entry WHERE gap <> 0",
            )
            .await;
        assert_eq!(wrong, Vec::<Value>::new());
    }
}

/// The arguments of a resolver.
pub(crate) fn read<T: DeserializeOwned>(arguments: Value) -> T {
    serde_json::from_value(arguments).unwrap()
}

pub(crate) fn caller(id: UserId, roles: &[Role], now: Timestamp) -> Caller {
    Caller {
        user: Some(User { id, roles: roles.to_vec() }),
        correlation_id: CorrelationId::new(),
        source_ip: None,
        at: now,
    }
}

pub(crate) fn envelope(fields: &Value) -> Envelope<SessionEnded> {
    let mut event = json!({
        "eventId": Uuid::new_v4(), "eventType": "SESSION_ENDED", "version": 1, "timestamp": "2026-02-21T14:31:00Z",
        "source": "session-service", "correlationId": Uuid::new_v4(),
    });
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    read(event)
}

/// The code of a conflict.
pub(crate) fn conflict<T: std::fmt::Debug>(result: Result<T, Failure>) -> &'static str {
    match result {
        Err(Failure::Conflict { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

fn assert_fits_schema(event: &Value) {
    let name = event["eventType"].as_str().unwrap();
    let path = format!("{}/../../events/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    if let Err(error) = jsonschema::validator_for(&schema).unwrap().validate(event) {
        panic!("{error}: {event}");
    }
}

/// Secrets Manager with one secret, and a bus that takes every event.
async fn aws(secret: Arc<Mutex<(String, u32)>>) -> String {
    let answer = move |headers: HeaderMap, body: String| {
        let secret = Arc::clone(&secret);
        async move {
            if headers["x-amz-target"] == "secretsmanager.GetSecretValue" {
                let mut secret = secret.lock().unwrap();
                secret.1 += 1;
                return Json(json!({ "ARN": "arn", "Name": "test", "SecretString": secret.0 }));
            }
            let request: Value = serde_json::from_str(&body).unwrap();
            let count = request["Entries"].as_array().unwrap().len();
            Json(json!({ "FailedEntryCount": 0, "Entries": vec![json!({ "EventId": "taken" }); count] }))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    url
}
