//! A real PostgreSQL with the migrations, behind the Data API's door: chargers talk, sessions follow.

use charger::{
    ChargePointId, Connection, Connections, Desk, Protocol, Records, Registration, Registry, receive,
};
use scratch::{CLUSTER, DataApi, Postgres, SECRET, aws, bus};
use serde_json::{Value, json};
use session::{Session, Stores};
use shared::{
    BookingId, Cache, Caller, ChargerId, CorrelationId, Database, Failure, Outbox, Role, SessionId,
    Timestamp, User, UserId,
};
use uuid::Uuid;

use super::{Memory, message};

/// A driver with an account.
#[derive(Clone)]
pub(crate) struct Driver {
    pub(crate) id: UserId,
    pub(crate) tag: String,
}

/// A charger with a socket open.
pub(crate) struct Charger {
    pub(crate) connection: Connection,
    pub(crate) station: Uuid,
    /// By number, from 1.
    pub(crate) connectors: Vec<Uuid>,
}

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) sessions: Stores,
    pub(crate) memory: Memory,
    pub(crate) now: Timestamp,
    outbox: Outbox,
    sql: tokio_postgres::Client,
    _door: DataApi,
    postgres: Postgres,
}

impl World {
    pub(crate) async fn new() -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        let bus_url = bus().await;

        let config = aws();
        let data = aws_sdk_rdsdata::config::Builder::from(&config).endpoint_url(&door.url).build();
        let database = Database::new(aws_sdk_rdsdata::Client::from_conf(data), CLUSTER, SECRET, "postgres");
        let events = aws_sdk_eventbridge::config::Builder::from(&config).endpoint_url(bus_url).build();
        let outbox = Outbox::new(database, aws_sdk_eventbridge::Client::from_conf(events), "bus");
        Self {
            registry: Registry::new(outbox.clone()),
            sessions: Stores::new(outbox.clone(), None),
            memory: Memory::default(),
            now: super::noon(),
            outbox,
            sql: postgres.connect().await,
            _door: door,
            postgres,
        }
    }

    pub(crate) fn desk(&self) -> Desk<'_> {
        let Self { registry, memory, .. } = self;
        Desk { records: registry, connections: memory, calls: memory, sockets: memory }
    }

    pub(crate) async fn driver(&self, tag: &str) -> Driver {
        let id = UserId::new();
        self.run(&format!(
            "INSERT INTO users (id, email, name, password_hash, id_tag, created_at, updated_at)
             VALUES ('{id}', '{tag}@example.com', '{tag}', '-', '{tag}', now(), now())"
        ))
        .await;
        Driver { id, tag: tag.into() }
    }

    /// A connected charger with `connectors` free connectors, at a station of its own.
    pub(crate) async fn charger(&self, name: &str, protocol: Protocol, connectors: u8) -> Charger {
        let (station, id) = (Uuid::now_v7(), Uuid::now_v7());
        self.run(&format!(
            "INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
             VALUES ('{station}', 'S', 0, 0, 'OPERATIONAL', now());
             INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
             VALUES ('{id}', '{name}', '{station}', '-', '2025-01-01')"
        ))
        .await;
        let mut ids = Vec::new();
        for number in 1..=connectors {
            let connector = Uuid::now_v7();
            self.run(&format!(
                "INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw,
                                         updated_at)
                 VALUES ('{connector}', '{station}', '{id}', {number}, 'CCS (Type 2)', 50, now())"
            ))
            .await;
            ids.push(connector);
        }
        let connection = Connection {
            id: format!("socket-of-{name}"),
            charge_point_id: name.parse::<ChargePointId>().unwrap(),
            charger: id.to_string().parse::<ChargerId>().unwrap(),
            protocol,
            registration: Registration::Accepted,
            connected_at: self.now,
        };
        self.memory.open(&connection).await.unwrap();
        self.registry.connected(connection.charger, &connection.id, protocol, self.now).await.unwrap();
        Charger { connection, station, connectors: ids }
    }

    /// A connector that a vendor of its own tells us of, at an existing station.
    pub(crate) async fn vendor_connector(&self, station: Uuid) -> Uuid {
        let (vendor, connector) = (Uuid::now_v7(), Uuid::now_v7());
        self.run(&format!(
            "INSERT INTO vendors (id, name, name_folded, created_at) VALUES ('{vendor}', '{vendor}', '{vendor}', now());
             INSERT INTO connectors (id, station_id, vendor_id, vendor_connector_id, connector_number, connector_type,
                                     power_kw, updated_at)
             VALUES ('{connector}', '{station}', '{vendor}', 'one', 1, 'CCS (Type 2)', 50, now())"
        ))
        .await;
        connector
    }

    /// A confirmed booking, free of charge.
    pub(crate) async fn book(&self, driver: &Driver, connector: Uuid, from: &str, to: &str) -> BookingId {
        let (id, driver) = (BookingId::new(), driver.id);
        self.run(&format!(
            "INSERT INTO bookings (id, user_id, station_id, connector_id, start_ts, end_ts, status, hold_token, price,
                                   currency, vat_rate, confirmed_at, correlation_id, created_at, updated_at)
             SELECT '{id}', '{driver}', station_id, id, '{from}', '{to}', 'CONFIRMED', '{id}', 0, 'EUR', 0, now(),
                    gen_random_uuid(), now(), now()
             FROM connectors WHERE id = '{connector}'"
        ))
        .await;
        id
    }

    /// The payload that a charger's call is answered with.
    pub(crate) async fn call(&self, charger: &Charger, action: &str, payload: Value) -> Value {
        let id = Uuid::new_v4().to_string();
        let text = json!([2, id, action, payload]).to_string();
        let event = message(&charger.connection.id, &text);
        let answer = receive(self.desk(), &self.memory, &event, self.now).await.unwrap();
        let answer: Value = serde_json::from_str(&answer.body.unwrap()).unwrap();
        assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!(id)), "{answer}");
        answer[2].clone()
    }

    pub(crate) fn caller(&self, driver: &Driver) -> Caller {
        Caller {
            user: Some(User { id: driver.id, roles: vec![Role::Driver] }),
            correlation_id: CorrelationId::new(),
            source_ip: None,
            at: self.now,
        }
    }

    /// The same account's request with another role.
    pub(crate) fn caller_as(&self, driver: &Driver, role: Role) -> Caller {
        let mut caller = self.caller(driver);
        caller.user = caller.user.map(|user| User { roles: vec![role], ..user });
        caller
    }

    /// The sessions' stores with a cache.
    pub(crate) fn sessions_with(&self, cache: Cache) -> Stores {
        Stores::new(self.outbox.clone(), Some(cache))
    }

    /// Another connection to the database.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        self.postgres.connect().await
    }

    /// `updateSession`, by an operator.
    pub(crate) async fn correct(&self, operator: &Driver, input: Value) -> Result<Session, Failure> {
        let request = serde_json::from_value(json!({ "input": input })).unwrap();
        session::update(&self.sessions, self.caller_as(operator, Role::Operator), request).await
    }

    pub(crate) async fn start(&self, driver: &Driver, input: Value) -> Result<Session, Failure> {
        let request = serde_json::from_value(json!({ "input": input })).unwrap();
        session::start(&self.sessions, self.caller(driver), request).await
    }

    pub(crate) async fn end(&self, driver: &Driver, id: SessionId) -> Session {
        let request = serde_json::from_value(json!({ "id": id })).unwrap();
        session::end(&self.sessions, self.caller(driver), request).await.unwrap()
    }

    pub(crate) async fn get(&self, driver: &Driver, id: SessionId) -> Session {
        let request = serde_json::from_value(json!({ "id": id })).unwrap();
        session::get(&self.sessions, self.caller(driver), request).await.unwrap()
    }

    /// A driver's sessions, newest first.
    pub(crate) async fn of(&self, driver: &Driver) -> Vec<Session> {
        let request = serde_json::from_value(json!({})).unwrap();
        let page = session::list(&self.sessions, self.caller(driver), request).await.unwrap();
        page.edges.into_iter().map(|edge| edge.node).collect()
    }

    /// Every event of a type, in order.
    pub(crate) async fn events(&self, event_type: &str) -> Vec<Value> {
        let rows = self
            .sql
            .query(
                "SELECT payload FROM outbox WHERE event_type = $1 ORDER BY created_at, ctid",
                &[&event_type],
            )
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    /// The first column of the first row.
    pub(crate) async fn one(&self, sql: &str) -> Value {
        let row = self.sql.query_one(&format!("SELECT to_jsonb(({sql}))"), &[]).await.unwrap();
        row.get(0)
    }
}
