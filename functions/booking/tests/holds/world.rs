use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router};
use booking::{
    Availability, Calendars, HoldDesk, HoldEvents, HoldSettings, Holds, SlotHold, hold, release_hold,
    station_availability,
};
use chrono::TimeDelta;
use scratch::{CLUSTER, DataApi, Postgres, SECRET, Server, aws, free_port, until};
use serde_json::{Value, json};
use shared::{
    Cache, Caller, ConnectorId, CorrelationId, Database, Failure, Outbox, Role, StationId, Timestamp, User,
    UserId,
};
use tokio::net::TcpStream;
use uuid::Uuid;

/// A Saturday.
pub(crate) fn now() -> Timestamp {
    at("2026-11-21T10:00:00Z")
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// One that keeps nothing, but its port.
pub(crate) struct Redis {
    port: u16,
    server: Option<Server>,
}

impl Redis {
    pub(crate) async fn up(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        self.server = Some(Server::start(command.current_dir(std::env::temp_dir())));
        until("Redis", async || TcpStream::connect(("127.0.0.1", self.port)).await.ok()).await;
    }

    /// The server, for somebody else to kill.
    pub(crate) fn handed_over(&mut self) -> Self {
        Self { port: self.port, server: self.server.take() }
    }

    pub(crate) fn down(&mut self) {
        self.server = None;
    }
}

/// The bus: what it was told, and whether it takes any more. What is told of holds is mirrored before it answers, as the
/// consumer would do a moment later.
#[derive(Default)]
pub(crate) struct Bus {
    told: Mutex<Vec<Value>>,
    refuses: AtomicBool,
}

impl Bus {
    pub(crate) fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    async fn take(&self, request: &Value, sql: &tokio_postgres::Client) -> Value {
        let entries = request["Entries"].as_array().unwrap();
        if self.refuses.load(Ordering::Relaxed) {
            let refused = json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "down" });
            return json!({ "FailedEntryCount": entries.len(), "Entries": vec![refused; entries.len()] });
        }
        for entry in entries {
            let event: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            if event["eventType"] == "SLOT_HOLD_CREATED" {
                sql.execute("SELECT mirror_hold($1)", &[&event]).await.unwrap();
            }
            self.told.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
        json!({ "FailedEntryCount": 0, "Entries": vec![json!({ "EventId": "taken" }); entries.len()] })
    }
}

pub(crate) struct World {
    pub(crate) redis: Redis,
    pub(crate) bus: Arc<Bus>,
    pub(crate) station: StationId,
    pub(crate) connectors: Vec<ConnectorId>,
    pub(crate) sql: tokio_postgres::Client,
    database: Database,
    events: aws_sdk_eventbridge::Client,
    pub(crate) now: Timestamp,
    _servers: (DataApi, Postgres),
}

/// One function's process.
pub(crate) struct Process {
    pub(crate) desk: HoldDesk,
    pub(crate) calendars: Calendars,
    pub(crate) holds: Holds,
}

impl World {
    /// A station of two connectors, with Redis or without.
    pub(crate) async fn new(with_redis: bool) -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        let config = aws();
        let data = aws_sdk_rdsdata::config::Builder::from(&config).endpoint_url(&door.url).build();
        let database = Database::new(aws_sdk_rdsdata::Client::from_conf(data), CLUSTER, SECRET, "postgres");
        let bus = Arc::new(Bus::default());
        let url = open(Arc::clone(&bus), postgres.connect().await).await;
        let events = aws_sdk_eventbridge::config::Builder::from(&config).endpoint_url(url).build();
        let mut redis = Redis { port: free_port(), server: None };
        if with_redis {
            redis.up().await;
        }
        let mut world = Self {
            redis,
            bus,
            station: StationId::new(),
            connectors: Vec::new(),
            sql: postgres.connect().await,
            database,
            events: aws_sdk_eventbridge::Client::from_conf(events),
            now: now(),
            _servers: (door, postgres),
        };
        (world.station, world.connectors) = world.add_station(2).await;
        world
    }

    pub(crate) async fn add_station(&self, connectors: i32) -> (StationId, Vec<ConnectorId>) {
        let (station, charger) = (StationId::new(), Uuid::new_v4());
        let connectors: Vec<_> = (1..=connectors).map(|number| (ConnectorId::new(), number)).collect();
        self.run(&format!(
            "INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
             VALUES ('{station}', 'S', 0, 0, 'AVAILABLE', now());
             INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
             VALUES ('{charger}', '{charger}', '{station}', '-', now())"
        ))
        .await;
        for (id, number) in &connectors {
            self.run(&format!(
                "INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, status,
                                         updated_at)
                 VALUES ('{id}', '{station}', '{charger}', {number}, 'CCS', 150, 'AVAILABLE', now())"
            ))
            .await;
        }
        (station, connectors.into_iter().map(|(id, _)| id).collect())
    }

    pub(crate) async fn driver(&self) -> UserId {
        let (id, tag) = (UserId::new(), Uuid::new_v4());
        self.run(&format!(
            "INSERT INTO users (id, email, name, password_hash, id_tag, created_at, updated_at)
             VALUES ('{id}', '{tag}@example.com', 'D', '-', '{tag}', now(), now())"
        ))
        .await;
        id
    }

    pub(crate) async fn book(&self, connector: ConnectorId, start: Timestamp, end: Timestamp) {
        let driver = self.driver().await;
        self.run(&format!(
            "INSERT INTO bookings (id, user_id, station_id, connector_id, start_ts, end_ts, status, hold_token, price,
                                   currency, vat_rate, confirmed_at, correlation_id, created_at, updated_at)
             VALUES (gen_random_uuid(), '{driver}', '{}', '{connector}', '{start}', '{end}', 'CONFIRMED',
                     gen_random_uuid()::text, 0, 'EUR', 0, now(), gen_random_uuid(), now(), now())",
            self.station
        ))
        .await;
    }

    /// A process that has asked Redis nothing yet.
    pub(crate) fn process(&self) -> Process {
        let settings = HoldSettings { lifetime: TimeDelta::seconds(600), most_per_user: 3 };
        let holds = || Holds::new(Cache::new(self.redis_url()), settings);
        let calendars = || Calendars::new(self.database.clone(), holds());
        let events = HoldEvents::new(self.events.clone(), "bus");
        Process {
            desk: HoldDesk::new(calendars(), self.outbox(), events),
            calendars: calendars(),
            holds: holds(),
        }
    }

    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::new(self.database.clone(), self.events.clone(), "bus")
    }

    pub(crate) fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis.port)
    }

    pub(crate) fn caller(&self, user: UserId, role: Role) -> Caller {
        Caller {
            user: Some(User { id: user, roles: vec![role] }),
            correlation_id: CorrelationId::new(),
            source_ip: None,
            at: self.now,
        }
    }

    pub(crate) fn later(&mut self, by: TimeDelta) {
        self.now += by;
    }

    pub(crate) async fn hold(
        &self,
        process: &Process,
        user: UserId,
        connector: usize,
        from: &str,
        to: &str,
    ) -> Result<SlotHold, Failure> {
        let wish = json!({
            "stationId": self.station, "connectorId": self.connectors[connector],
            "startTs": time(from), "endTs": time(to),
        });
        hold(&process.desk, &self.caller(user, Role::Driver), shared::read_fields(wish)?).await
    }

    pub(crate) async fn release(
        &self,
        process: &Process,
        user: UserId,
        hold: &SlotHold,
    ) -> Result<bool, Failure> {
        let named = shared::read_fields(json!({ "token": hold.token })).unwrap();
        release_hold(&process.calendars, &self.caller(user, Role::Driver), named).await
    }

    pub(crate) async fn availability(
        &self,
        process: &Process,
        asked: Value,
    ) -> Result<Availability, Failure> {
        let mut asked = asked;
        if asked["stationId"].is_null() {
            asked["stationId"] = json!(self.station);
        }
        station_availability(&process.calendars, shared::read_fields(asked)?, self.now).await
    }

    /// `1 10:00` for each free slot of an hour that begins in a part of the day, by connector and start.
    pub(crate) async fn free(&self, process: &Process, from: &str, to: &str) -> String {
        let asked = json!({ "startDate": time(from), "endDate": time(to) });
        let told = self.availability(process, asked).await.unwrap();
        assert_eq!(told.total, told.available_slots.len());
        let slots = told.available_slots.iter();
        slots
            .map(|s| format!("{} {}", s.connector_number, s.start.format("%H:%M")))
            .collect::<Vec<_>>()
            .join(", ")
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    /// The first column of the first row, as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let row = self.sql.query_one(&format!("SELECT COALESCE(({sql})::text, '')"), &[]).await.unwrap();
        row.get(0)
    }

    /// Every event that was told of a hold passes its schema.
    pub(crate) fn check_events(&self) -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/schemas/SLOT_HOLD_CREATED.json");
        let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let schema = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let mut told = self.bus.told();
        told.retain(|event| event["eventType"] == "SLOT_HOLD_CREATED");
        for event in &told {
            schema.validate(event).unwrap_or_else(|error| panic!("{error}: {event}"));
        }
        told
    }
}

/// `10:00` on the day of the tests, or a whole moment.
pub(crate) fn time(text: &str) -> String {
    if text.len() == 5 { format!("2026-11-21T{text}:00Z") } else { text.to_owned() }
}

/// The code of a conflict.
pub(crate) fn conflict<T: std::fmt::Debug>(result: Result<T, Failure>) -> &'static str {
    match result.unwrap_err() {
        Failure::Conflict { code, .. } => code,
        failure => panic!("{failure:?}"),
    }
}

async fn open(bus: Arc<Bus>, sql: tokio_postgres::Client) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sql = Arc::new(sql);
    let take = move |body: String| {
        let (bus, sql) = (Arc::clone(&bus), Arc::clone(&sql));
        async move { Json(bus.take(&serde_json::from_str(&body).unwrap(), &sql).await) }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    url
}
