//! A desk on a real PostgreSQL with the migrations, behind the Data API's door, and a clock that tests set. Its Redis is
//! gone, unless a test asks for one; so is the payment provider.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unused_imports)]

#[path = "../../../payment/tests/support/stripe.rs"]
mod stripe;

use std::sync::Arc;
use std::time::Duration;

use booking::{
    Booking, BookingStatus, Confirmation, Desk, HoldSettings, HoldToken, Holds, Marked, Policy, Tracked,
    cancel, confirm, mark_no_shows, track,
};
use chrono::{DurationRound, TimeDelta};
use payment::{Account, AccountSecret, Payments, Provider, ReconcileRequest, Reconciled, reconcile};
use scratch::{CLUSTER, DataApi, Postgres, SECRET, aws, bus};
use serde_json::{Value, json};
use shared::{
    BookingId, Cache, Caller, ConnectorId, CorrelationId, Database, Envelope, EventId, Events, Failure,
    Invocation, Outbox, Role, SessionId, StationId, Timestamp, User, UserId,
};
use uuid::Uuid;

pub(crate) use stripe::{Fault, LocalStripe, Proxy};

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";
/// What every test but those of timeouts waits for the provider.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A connector, and its station.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) station: StationId,
    pub(crate) connector: ConnectorId,
}

pub(crate) struct World {
    pub(crate) desk: Arc<Desk>,
    pub(crate) payments: Arc<Payments>,
    pub(crate) policy: Policy,
    pub(crate) database: Database,
    /// At a full minute.
    pub(crate) now: Timestamp,
    sql: tokio_postgres::Client,
    _servers: (DataApi, Postgres),
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(NOWHERE, PATIENCE, "redis://127.0.0.1:1").await
    }

    /// With that provider, waited for so long, and that Redis.
    pub(crate) async fn with(provider: &str, patience: Duration, redis: &str) -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let door = DataApi::open(&postgres).await;
        let config = aws();
        let data = aws_sdk_rdsdata::config::Builder::from(&config).endpoint_url(&door.url).build();
        let database = Database::new(aws_sdk_rdsdata::Client::from_conf(data), CLUSTER, SECRET, "postgres");
        let events = aws_sdk_eventbridge::config::Builder::from(&config).endpoint_url(bus().await).build();
        let outbox = Outbox::new(database.clone(), aws_sdk_eventbridge::Client::from_conf(events), "bus");
        let secret = AccountSecret::given(account(provider));
        let payments = Payments::new(outbox.clone(), Provider::new(secret, patience).unwrap());
        let holds = Holds::new(Cache::new(redis.to_owned()), HoldSettings::from_env());
        Self {
            desk: Arc::new(Desk::new(outbox, holds)),
            payments: Arc::new(payments),
            policy: Policy::default(),
            database,
            now: chrono::Utc::now().duration_trunc(TimeDelta::minutes(1)).unwrap(),
            sql: postgres.connect().await,
            _servers: (door, postgres),
        }
    }

    /// The same world, later.
    pub(crate) fn later(&mut self, minutes: i64) {
        self.now += TimeDelta::minutes(minutes);
    }

    /// What confirming costs from now on, everywhere.
    pub(crate) async fn fee(&self, amount: &str) {
        self.run(&format!("UPDATE tariffs SET booking_fee = {amount}")).await;
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
            self.top_up(id, euros).await;
        }
        id
    }

    pub(crate) async fn top_up(&self, driver: UserId, euros: &str) {
        self.run(&format!(
            "SELECT post_wallet_entry(gen_random_uuid(), '{driver}', {euros}, 'EUR', 'CREDIT', '{}', 'seed', now())",
            Uuid::new_v4()
        ))
        .await;
    }

    /// A vendor's connector: nobody of ours controls it.
    pub(crate) async fn place(&self) -> Place {
        let (station, connector, vendor) = (StationId::new(), ConnectorId::new(), Uuid::new_v4());
        self.run(&format!(
            "INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
             VALUES ('{station}', 'S', 52, 13, 'OPERATIONAL', now());
             INSERT INTO vendors (id, name, name_folded, created_at) VALUES ('{vendor}', '{vendor}', '{vendor}', now());
             INSERT INTO connectors (id, station_id, vendor_id, vendor_connector_id, connector_number, connector_type,
                                     power_kw, status, updated_at)
             VALUES ('{connector}', '{station}', '{vendor}', '1', 1, 'CCS', 150, 'AVAILABLE', now())"
        ))
        .await;
        Place { station, connector }
    }

    /// A hold of minutes from now, good for ten, as the database has it.
    pub(crate) async fn hold(&self, driver: UserId, place: Place, from: i64, to: i64) -> HoldToken {
        let token = HoldToken::new(self.now);
        let at = |minutes: i64| self.now + TimeDelta::minutes(minutes);
        let hold = json!({
            "holdToken": token, "userId": driver, "stationId": place.station, "connectorId": place.connector,
            "startTs": at(from), "endTs": at(to), "expiresAt": at(10),
        });
        self.run(&format!("SELECT mirror_hold('{hold}')")).await;
        token
    }

    pub(crate) fn caller(&self, user: UserId) -> Caller {
        Caller {
            user: Some(User { id: user, roles: vec![Role::Driver] }),
            correlation_id: CorrelationId::new(),
            source_ip: None,
            at: self.now,
        }
    }

    /// By the wallet, unless a card is named.
    pub(crate) async fn confirm(
        &self,
        driver: UserId,
        token: &HoldToken,
        card: Option<&str>,
    ) -> Result<Booking, Failure> {
        confirm(&self.desk, &self.payments, &self.caller(driver), confirmation(token, card)).await
    }

    /// A booking of minutes from now.
    pub(crate) async fn booked(&self, driver: UserId, place: Place, from: i64, to: i64) -> Booking {
        let token = self.hold(driver, place, from, to).await;
        let booking = self.confirm(driver, &token, None).await.unwrap();
        assert_eq!(booking.status, BookingStatus::Confirmed);
        booking
    }

    pub(crate) async fn cancel(&self, driver: UserId, booking: BookingId) -> Result<Booking, Failure> {
        let arguments = shared::read_fields(json!({ "id": booking })).unwrap();
        cancel(&self.desk, &self.policy, &self.caller(driver), arguments).await
    }

    /// One run of the clock.
    pub(crate) async fn mark(&self) -> Marked {
        let invocation = Invocation { at: self.now, deadline: self.now + TimeDelta::minutes(5) };
        let request = shared::read_fields(json!({})).unwrap();
        mark_no_shows(&self.desk, &self.policy, invocation, request).await.unwrap()
    }

    /// The driver's session at a connector, in that status, begun so many minutes from now.
    pub(crate) async fn session(&self, driver: UserId, place: Place, status: &str, from: i64) -> SessionId {
        let id = SessionId::new();
        let start = self.now + TimeDelta::minutes(from);
        self.run(&format!(
            "INSERT INTO sessions (id, user_id, station_id, connector_id, status, start_time, remote_start_id,
                                   correlation_id, created_at, updated_at)
             VALUES ('{id}', '{driver}', '{}', '{}', '{status}', NULL, 1,
                     gen_random_uuid(), '{start}', '{start}');
             UPDATE sessions SET start_time = created_at WHERE id = '{id}' AND status <> 'STARTING'",
            place.station, place.connector
        ))
        .await;
        if ["STARTING", "IN_PROGRESS", "STOPPING"].contains(&status) {
            self.run(&format!(
                "INSERT INTO open_sessions (connector_id, session_id, user_id)
                 VALUES ('{}', '{id}', '{driver}')",
                place.connector
            ))
            .await;
        }
        id
    }

    pub(crate) async fn end(&self, session: SessionId) {
        self.run(&format!(
            "UPDATE sessions SET status = 'COMPLETED', end_time = '{}' WHERE id = '{session}';
             DELETE FROM open_sessions WHERE session_id = '{session}'",
            self.now
        ))
        .await;
    }

    /// Tells of a session.
    pub(crate) async fn tell(&self, event_type: &str, session: SessionId) {
        let envelope = Envelope {
            event_id: EventId::new(),
            event_type: event_type.to_owned(),
            version: 1,
            timestamp: self.now,
            source: "session-service".to_owned(),
            correlation_id: CorrelationId::new(),
            payload: json!({ "sessionId": session }),
        };
        let event = envelope.map(|event_type, fields| Tracked::read(event_type, fields).unwrap()).unwrap();
        track(&self.desk, event, self.now).await.unwrap();
    }

    pub(crate) async fn reconcile(&self) -> Reconciled {
        let invocation = Invocation { at: self.now, deadline: self.now + TimeDelta::minutes(5) };
        let request: ReconcileRequest = shared::read_fields(json!({})).unwrap();
        reconcile(&self.payments, invocation, request).await.unwrap()
    }

    pub(crate) async fn status(&self, booking: BookingId) -> String {
        self.text(&format!("SELECT status FROM bookings WHERE id = '{booking}'")).await
    }

    pub(crate) async fn balance(&self, user: UserId) -> String {
        self.text(&format!("SELECT round(wallet_balance, 2) FROM users WHERE id = '{user}'")).await
    }

    /// What must hold at every moment: nobody pays for what is not booked, nor for more than it costs; nothing overlaps;
    /// every event passes its schema.
    pub(crate) async fn check_books(&self) {
        for (wrong, what) in [
            (
                "SELECT count(*) FROM users WHERE wallet_balance <> (
                     SELECT COALESCE(sum(amount), 0) FROM wallet_entries WHERE user_id = users.id)",
                "balances that are not the ledger's",
            ),
            (
                "SELECT count(*) FROM payments WHERE purpose = 'BOOKING' AND NOT EXISTS (
                     SELECT FROM bookings WHERE payment_id = payments.id AND id = payments.booking_id
                         AND price = payments.amount
                         AND (payments.status = 'SUCCEEDED') = (bookings.invoice_id IS NOT NULL)
                         AND (payments.status IN ('PENDING', 'REQUIRES_ACTION')) = (bookings.status = 'PENDING'))",
                "payments without a booking",
            ),
            (
                "SELECT count(*) FROM invoices WHERE kind = 'BOOKING' AND NOT EXISTS (
                     SELECT FROM bookings WHERE invoice_id = invoices.id AND id = invoices.booking_id
                         AND price = invoices.amount AND refunded = invoices.refunded_amount
                         AND invoices.status IN ('PAID', 'REFUNDED'))",
                "invoices that are no booking's",
            ),
            (
                "SELECT count(*) FROM bookings WHERE price > 0 AND status NOT IN ('PENDING', 'CANCELLED')
                     AND invoice_id IS NULL",
                "bookings that nobody paid",
            ),
            (
                "SELECT count(*) FROM bookings AS one JOIN bookings AS other USING (connector_id)
                 WHERE one.id < other.id AND one.status IN ('PENDING', 'CONFIRMED', 'ACTIVE')
                     AND other.status IN ('PENDING', 'CONFIRMED', 'ACTIVE')
                     AND one.start_ts < other.end_ts AND other.start_ts < one.end_ts",
                "bookings that overlap",
            ),
        ] {
            assert_eq!(self.text(wrong).await, "0", "{what}");
        }
        for event_type in [
            "BOOKING_CONFIRMED",
            "BOOKING_CANCELLED",
            "BOOKING_NO_SHOW",
            "BOOKING_DUE",
            "CONNECTOR_STATUS_CHANGED",
            "PAYMENT_COMPLETED",
            "PAYMENT_FAILED",
            "PAYMENT_REFUNDED",
        ] {
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
        self.sql.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }

    /// The first column of the first row, as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        let row = self.sql.query_one(&format!("SELECT COALESCE(({sql})::text, '')"), &[]).await.unwrap();
        row.get(0)
    }
}

pub(crate) fn confirmation(token: &HoldToken, card: Option<&str>) -> Confirmation {
    shared::read_fields(json!({ "holdToken": token, "paymentId": card })).unwrap()
}

/// Money as it is shown.
pub(crate) fn shown(money: Option<shared::Money>) -> String {
    money.map(|money| money.to_string()).unwrap_or_default()
}

/// A sample event, or a schema.
pub(crate) fn read(path: &str) -> Value {
    let path = format!("{}/../../events/{path}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The code of a conflict, or the kind of another failure.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result.unwrap_err() {
        Failure::Conflict { code, .. } => code.to_owned(),
        Failure::NotFound(what) => format!("no {what}"),
        failure => panic!("{failure:?}"),
    }
}

fn account(url: &str) -> Account {
    let webhook_secret = "whsec_of_the_tests_0001";
    serde_json::from_value(
        json!({ "apiKey": "sk_test_1234", "webhookSecrets": [webhook_secret], "url": url }),
    )
    .unwrap()
}
