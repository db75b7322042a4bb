//! The people and things that proofs act on: drivers and operators through the front door; stations, chargers that
//! seem online, and ended sessions as rows.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use uuid::Uuid;

use super::database::Database;
use crate::Result;
use crate::accounts::Account;
use crate::stack::Stack;

/// What a proof's stage is set with.
pub(super) struct Cast<'a> {
    /// Where it plays.
    pub(super) stack: &'a Stack,
    /// A look behind.
    pub(super) database: Database,
    /// An operator.
    pub(super) operator: Account,
    sites: AtomicU32,
}

/// A station of ours whose charger seems online.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) station: Uuid,
    pub(super) connectors: Vec<Uuid>,
}

impl<'a> Cast<'a> {
    /// An operator and nobody else yet.
    pub(super) async fn new(stack: &'a Stack) -> Result<Self> {
        let (database, operator) = (Database::of(stack).await?, Account::operator(stack).await?);
        Ok(Self { stack, database, operator, sites: AtomicU32::default() })
    }

    /// A new driver.
    pub(super) async fn driver(&self, name: &str) -> Result<Account> {
        Account::driver(self.stack, name).await
    }

    /// A driver who is a charging network's account.
    pub(super) async fn vendor(&self) -> Result<Account> {
        let account = self.driver("Vera Vendor").await?;
        let grant = json!({ "email": account.email, "role": "VENDOR", "reason": "set up by the proof" });
        self.stack.invoke("grant-role", &grant).await?;
        Account::login(self.stack, &account.email).await
    }

    /// A station with that many connectors.
    pub(super) async fn site(&self, connectors: usize) -> Result<Site> {
        let site =
            Site { station: Uuid::new_v4(), connectors: (0..connectors).map(|_| Uuid::new_v4()).collect() };
        let number = self.sites.fetch_add(1, Ordering::Relaxed);
        let document = json!({
            "station": site.station, "charger": Uuid::new_v4(), "connectors": site.connectors,
            "identity": format!("CP-CAST-{number}"),
        });
        self.database.with(SITE, &document).await?;
        Ok(site)
    }

    /// A session of the driver's that has ended, and is not billed yet.
    pub(super) async fn session(&self, driver: &Account, site: &Site, kwh: &str) -> Result<Uuid> {
        let session = Uuid::now_v7();
        let document = json!({
            "session": session, "driver": driver.id, "station": site.station, "connector": site.connectors.first(),
            "kwh": kwh,
        });
        self.database.with(SESSION, &document).await?;
        Ok(session)
    }

    /// The invoice of such a session: paid at once if the driver's wallet holds enough.
    pub(super) async fn invoice(&self, driver: &Account, site: &Site, kwh: &str) -> Result<String> {
        let session = self.session(driver, site, kwh).await?;
        self.bill(driver, site, session, kwh).await?;
        let query = format!("SELECT id::text FROM invoices WHERE session_id = '{session}'");
        let invoice = self.database.texts(&query).await?.into_iter().next();
        Ok(invoice.ok_or_else(|| format!("session {session} was not billed"))?)
    }

    /// Has a session billed.
    pub(super) async fn bill(&self, driver: &Account, site: &Site, session: Uuid, kwh: &str) -> Result<()> {
        let event = Uuid::new_v4();
        let body = json!({ "detail-type": "SESSION_ENDED", "detail": {
            "eventId": event, "eventType": "SESSION_ENDED", "version": 1, "timestamp": chrono::Utc::now(),
            "source": "session-service", "correlationId": Uuid::new_v4(), "sessionId": session,
            "userId": driver.id, "stationId": site.station, "energyKwh": kwh.parse::<serde_json::Number>()?,
            "endedAt": chrono::Utc::now(), "durationMinutes": 60, "incomplete": false,
        } });
        let answer = self.stack.invoke("bill-session", &batch([(event, body.to_string())])).await?;
        match answer["batchItemFailures"].as_array() {
            Some(failures) if !failures.is_empty() => Err(format!("not billed: {answer}").into()),
            _ => Ok(()),
        }
    }

    /// Does what an operator may.
    pub(super) async fn by_operator(&self, query: &str, input: Value) -> Result<Value> {
        self.operator.client.field(query, json!({ "input": input })).await
    }

    /// A flat rate on offer.
    pub(super) async fn plan(&self, name: &str, monthly_price: &str) -> Result<String> {
        let input = json!({
            "name": name, "currency": "EUR", "monthlyPrice": monthly_price, "fairUseKWh": "100",
            "perKWhBeyond": "0.50", "vatRate": "0.19", "reason": "for the proof",
        });
        let create = "mutation($input: CreatePlanInput!) { createPlan(input: $input) { id } }";
        let plan = self.by_operator(create, input).await?;
        Ok(plan["id"].as_str().ok_or("a plan without id")?.to_owned())
    }
}

/// Messages as Lambda hands them to a queue's consumer, each with its id.
pub(super) fn batch(messages: impl IntoIterator<Item = (Uuid, String)>) -> Value {
    let records = messages.into_iter().map(|(id, body)| {
        json!({
            "messageId": id, "receiptHandle": id, "body": body, "md5OfBody": "", "messageAttributes": {},
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1771684260000" },
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:proof",
            "awsRegion": "eu-central-1",
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

const SITE: &str = "
    WITH station AS (
        INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
        VALUES (($1::jsonb->>'station')::uuid, 'Stage', 52.52, 13.405, 'OPERATIONAL', now())
    ), charger AS (
        INSERT INTO chargers (id, charge_point_id, station_id, password_hash, connection_id, connected_at, last_seen_at,
                              protocol, created_at)
        VALUES (($1::jsonb->>'charger')::uuid, $1::jsonb->>'identity', ($1::jsonb->>'station')::uuid, 'x', 'nobody',
                now(), now(), 'ocpp1.6', now())
    )
    INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, status, status_at,
                            updated_at)
    SELECT value::uuid, ($1::jsonb->>'station')::uuid, ($1::jsonb->>'charger')::uuid, place, 'CCS (Type 2)', 50,
           'AVAILABLE', now(), now()
    FROM jsonb_array_elements_text($1::jsonb->'connectors') WITH ORDINALITY AS connector (value, place)";

const SESSION: &str = "
    INSERT INTO sessions (id, user_id, station_id, connector_id, status, start_time, end_time, energy_kwh,
                          remote_start_id, correlation_id, created_at, updated_at)
    VALUES (($1::jsonb->>'session')::uuid, ($1::jsonb->>'driver')::uuid, ($1::jsonb->>'station')::uuid,
            ($1::jsonb->>'connector')::uuid, 'COMPLETED', now() - interval '1 hour', now(),
            ($1::jsonb->>'kwh')::numeric, 1, gen_random_uuid(), now() - interval '1 hour', now())";
