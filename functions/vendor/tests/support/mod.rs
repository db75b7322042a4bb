//! A real PostgreSQL with the migrations behind the Data API's door, and Secrets Manager and SQS as ministack has them,
//! behind a door that counts and can be shut.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unused_imports)]

mod cloud;

use chrono::TimeDelta;
use scratch::{CLUSTER, DataApi, Postgres, SECRET, aws_at, bus};
use serde_json::{Value, json};
use shared::{
    Caller, ConnectorId, CorrelationId, Database, Failure, Outbox, Role, StationId, Timestamp, User, UserId,
    VendorId,
};
use uuid::Uuid;
use vendor::{Report, Taken};

pub(crate) use cloud::Cloud;

/// The database, and a moment.
pub(crate) struct World {
    pub(crate) outbox: Outbox,
    pub(crate) now: Timestamp,
    pub(crate) sql: tokio_postgres::Client,
    pub(crate) postgres: Postgres,
    _door: DataApi,
}

impl World {
    pub(crate) async fn new() -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        let data = aws_sdk_rdsdata::Client::new(&aws_at(&door.url));
        let database = Database::new(data, CLUSTER, SECRET, "postgres");
        let events = aws_sdk_eventbridge::Client::new(&aws_at(bus().await));
        Self {
            outbox: Outbox::new(database, events, "bus"),
            now: "2026-02-21T14:31:00Z".parse().unwrap(),
            sql: postgres.connect().await,
            postgres,
            _door: door,
        }
    }

    pub(crate) fn after(&self, seconds: i64) -> Timestamp {
        self.now + TimeDelta::seconds(seconds)
    }

    pub(crate) fn caller(&self, role: Role) -> Caller {
        Caller {
            user: Some(User { id: UserId::new(), roles: vec![role] }),
            correlation_id: CorrelationId::new(),
            source_ip: None,
            at: self.now,
        }
    }

    /// A driver with that tag.
    pub(crate) async fn driver(&self, tag: &str) -> UserId {
        let id = UserId::new();
        self.run(&format!(
            "INSERT INTO users (id, email, name, password_hash, id_tag, created_at, updated_at)
             VALUES ('{id}', '{tag}@example.com', 'D', '-', '{tag}', now(), now())"
        ))
        .await;
        id
    }

    pub(crate) async fn station(&self) -> StationId {
        let id = StationId::new();
        self.run(&format!(
            "INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
             VALUES ('{id}', 'S', 52.5, 13.4, 'OPERATIONAL', now())"
        ))
        .await;
        id
    }

    /// One whose secret nobody needs.
    pub(crate) async fn vendor(&self) -> VendorId {
        let id = VendorId::new();
        self.run(&format!(
            "SELECT register_vendor('{id}', '{id}', '{id}', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
                                    now())"
        ))
        .await;
        id
    }

    /// That many connectors of a vendor, called `v-1`, `v-2`, …
    pub(crate) async fn connectors(
        &self,
        vendor: VendorId,
        station: StationId,
        count: usize,
    ) -> Vec<ConnectorId> {
        let connectors: Vec<_> = (1..=count).map(connector).collect();
        let made = self.register(vendor, station, &connectors).await.unwrap();
        made.iter().map(|made| made["id"].as_str().unwrap().parse().unwrap()).collect()
    }

    pub(crate) async fn register(
        &self,
        vendor: VendorId,
        station: StationId,
        connectors: &[Value],
    ) -> Result<Vec<Value>, Failure> {
        let input = json!({ "vendorId": vendor, "stationId": station, "connectors": connectors });
        let arguments = shared::read_fields(json!({ "input": input }))?;
        vendor::register_connectors(&self.outbox, &self.caller(Role::Operator), arguments).await
    }

    /// What the consumer makes of a message.
    pub(crate) async fn process(&self, report: &Report) -> Result<Taken, Failure> {
        vendor::process(&self.outbox, report, self.now).await
    }

    pub(crate) async fn events(&self, event_type: &str) -> Vec<Value> {
        let sql = "SELECT payload FROM outbox WHERE event_type = $1 ORDER BY position";
        self.sql.query(sql, &[&event_type]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// Every event of the outbox is what its schema says.
    pub(crate) async fn check_events(&self) {
        for row in self.sql.query("SELECT payload FROM outbox", &[]).await.unwrap() {
            let event: Value = row.get(0);
            let event_type = event["eventType"].as_str().unwrap();
            let schema = read(&format!("schemas/{event_type}"));
            let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
            schema.validate(&event).unwrap_or_else(|error| panic!("{event_type}: {error}: {event}"));
        }
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    /// The first column of the first row, as text; nothing: none.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let row = self.sql.query_one(&format!("SELECT COALESCE(({sql})::text, '')"), &[]).await.unwrap();
        row.get(0)
    }
}

pub(crate) fn connector(number: usize) -> Value {
    json!({ "vendorConnectorId": format!("v-{number}"), "number": number, "type": "CCS (Type 2)", "powerKW": 150 })
}

/// A message of the queue, as a webhook of its own.
pub(crate) fn report(vendor: VendorId, at: Timestamp, kind: &str, body: Value) -> Report {
    let mut message = json!({
        "vendorId": vendor, "webhookId": format!("msg_{}", Uuid::new_v4()), "kind": kind, "occurredAt": at,
        "correlationId": CorrelationId::new(),
    });
    message["body"] = body;
    shared::Message::read(message).unwrap()
}

/// A sample event, or a schema.
pub(crate) fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The code of a conflict, or the name of any other failure.
pub(crate) fn told<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result.unwrap_err() {
        Failure::Conflict { code, .. } => code.into(),
        Failure::Invalid { field, .. } => field.into(),
        failure => failure.error_type().into(),
    }
}
