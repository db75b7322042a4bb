//! Drivers and the sessions they had, as rows; what each session must cost, worked out here by nobody else's code; and
//! the messages that tell of them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Result;
use crate::prove::database::Database;
use crate::prove::dice::Dice;

/// What the station's tariff asks: for each kWh, for each minute, once.
const PER_KWH: Decimal = Decimal::from_parts(5123, 0, 0, false, 4);
const PER_MINUTE: Decimal = Decimal::from_parts(371, 0, 0, false, 4);
const START_FEE: Decimal = Decimal::from_parts(35, 0, 0, false, 2);
/// What a flat rate asks beyond its fair use. Exact in cents for the energies below: however several sessions share
/// what is left, they cost the same together.
const PER_KWH_BEYOND: Decimal = Decimal::from_parts(50, 0, 0, false, 2);
const INCLUDED_KWH: i64 = 100;

/// Sessions of one driver, on average.
const SESSIONS_EACH: usize = 15;

/// What is in a driver's wallet at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prove) enum Wallet {
    /// Enough for every session.
    Full,
    /// Enough for some.
    Tight,
    /// Nothing.
    Empty,
    /// Much, of another currency.
    Foreign,
}

#[derive(Debug, Clone)]
pub(in crate::prove) struct Driver {
    pub(in crate::prove) id: Uuid,
    pub(in crate::prove) wallet: Wallet,
    pub(in crate::prove) initial: Decimal,
    /// Whether a flat rate covers the first [`INCLUDED_KWH`].
    pub(in crate::prove) flat: bool,
}

#[derive(Debug, Clone)]
pub(in crate::prove) struct Session {
    pub(in crate::prove) id: Uuid,
    pub(in crate::prove) driver: usize,
    energy: Decimal,
    start: DateTime<Utc>,
    minutes: i64,
    /// Its end is told before it is known.
    pub(in crate::prove) early: bool,
}

/// Everything that is billed.
pub(in crate::prove) struct World {
    station: Uuid,
    connector: Uuid,
    tariff: Uuid,
    pub(in crate::prove) drivers: Vec<Driver>,
    pub(in crate::prove) sessions: Vec<Session>,
}

impl Session {
    /// By the tariff; of a driver without a flat rate.
    pub(in crate::prove) fn cost(&self) -> Decimal {
        cents(self.energy * PER_KWH + Decimal::from(self.minutes) * PER_MINUTE + START_FEE)
    }
}

fn cents(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

impl World {
    pub(in crate::prove) fn new(dice: &Dice, sessions: usize) -> Self {
        let month = Utc::now() - TimeDelta::days(20);
        let count = sessions.div_ceil(SESSIONS_EACH).max(8);
        let drivers = (0..count).map(|number| Driver {
            id: Uuid::now_v7(),
            wallet: [Wallet::Full, Wallet::Full, Wallet::Tight, Wallet::Empty, Wallet::Full, Wallet::Foreign]
                [number % 6],
            initial: Decimal::ZERO,
            flat: number % 9 == 4,
        });
        let mut world = Self {
            station: Uuid::new_v4(),
            connector: Uuid::new_v4(),
            tariff: Uuid::new_v4(),
            drivers: drivers.collect(),
            sessions: (0..sessions)
                .map(|_| Session {
                    id: Uuid::now_v7(),
                    driver: dice.below(count),
                    // Up to 80 kWh, in steps of 20 Wh.
                    energy: Decimal::new(20 * i64::try_from(dice.below(4000)).unwrap_or(0), 3),
                    start: month + TimeDelta::seconds(i64::try_from(dice.below(15 * 86_400)).unwrap_or(0)),
                    minutes: i64::try_from(dice.below(600)).unwrap_or(0),
                    early: dice.chance(0.005),
                })
                .collect(),
        };
        for index in 0..count {
            let owed: Decimal = world.sessions_of(index).map(Session::cost).sum();
            let driver = &mut world.drivers[index];
            driver.initial = match driver.wallet {
                Wallet::Full => owed + Decimal::from(1000),
                Wallet::Tight => cents(owed / Decimal::TWO),
                Wallet::Empty => Decimal::ZERO,
                Wallet::Foreign => Decimal::from(5000),
            };
        }
        world
    }

    pub(in crate::prove) fn sessions_of(&self, driver: usize) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(move |session| session.driver == driver)
    }

    /// What a driver's sessions must cost together.
    pub(in crate::prove) fn owed(&self, driver: usize) -> Decimal {
        if self.drivers[driver].flat {
            (self.energy_of(driver) - self.covered(driver)) * PER_KWH_BEYOND
        } else {
            self.sessions_of(driver).map(Session::cost).sum()
        }
    }

    /// What a flat rate must have taken of its driver's energy.
    pub(in crate::prove) fn covered(&self, driver: usize) -> Decimal {
        if self.drivers[driver].flat {
            self.energy_of(driver).min(Decimal::from(INCLUDED_KWH))
        } else {
            Decimal::ZERO
        }
    }

    fn energy_of(&self, driver: usize) -> Decimal {
        self.sessions_of(driver).map(|session| session.energy).sum()
    }

    /// Writes it all.
    pub(in crate::prove) async fn write(&self, database: &Database) -> Result<()> {
        let drivers = self.drivers.iter().enumerate().map(|(number, driver)| {
            json!({
                "id": driver.id, "number": number, "flat": driver.flat, "initial": driver.initial.to_string(),
                "currency": if driver.wallet == Wallet::Foreign { "CHF" } else { "EUR" },
                "entry": Uuid::now_v7(), "subscription": Uuid::now_v7(), "period": Uuid::now_v7(),
            })
        });
        let sessions = self.sessions.iter().map(|session| {
            json!({
                "id": session.id, "user": self.drivers[session.driver].id, "early": session.early, "energy": session.energy.to_string(),
                "start": session.start, "end": session.start + TimeDelta::minutes(session.minutes),
            })
        });
        let document = json!({
            "station": self.station, "connector": self.connector, "charger": Uuid::new_v4(), "tariff": self.tariff,
            "plan": Uuid::now_v7(), "perKwh": PER_KWH.to_string(), "perMinute": PER_MINUTE.to_string(),
            "startFee": START_FEE.to_string(), "perKwhBeyond": PER_KWH_BEYOND.to_string(),
            "included": INCLUDED_KWH.to_string(),
            "drivers": drivers.collect::<Vec<_>>(), "sessions": sessions.collect::<Vec<_>>(),
        });
        for statement in STATEMENTS {
            database.with(statement, &document).await?;
        }
        Ok(())
    }

    /// The message that tells of the end of a session, as EventBridge puts it into a queue; now and then with an energy
    /// that is not the row's, or without the tariff.
    pub(in crate::prove) fn told(&self, session: &Session, dice: &Dice) -> String {
        let energy = if dice.chance(0.05) { Decimal::ONE } else { session.energy.normalize() };
        let moment = |moment: DateTime<Utc>| moment.to_rfc3339_opts(SecondsFormat::Millis, true);
        let detail = json!({
            "sessionId": session.id,
            "userId": self.drivers[session.driver].id,
            "stationId": self.station,
            "connectorId": self.connector,
            "status": "COMPLETED",
            "energyKwh": energy.to_string().parse::<serde_json::Number>().ok(),
            "startedAt": moment(session.start),
            "endedAt": moment(session.start + TimeDelta::minutes(session.minutes)),
            "durationMinutes": session.minutes,
            "incomplete": false,
            "corrected": false,
            "tariffId": if dice.chance(0.3) { None } else { Some(self.tariff) },
            "reason": null,
        });
        delivery(Uuid::new_v5(&session.id, b"ended"), detail)
    }
}

/// An event of the type `SESSION_ENDED` as a queue holds it, whatever it tells.
pub(in crate::prove) fn delivery(event: Uuid, mut detail: Value) -> String {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let envelope = json!({
        "eventId": event, "eventType": "SESSION_ENDED", "version": 1, "timestamp": now,
        "source": "session-service", "correlationId": Uuid::new_v5(&event, b"request"),
    });
    if let (Some(detail), Value::Object(envelope)) = (detail.as_object_mut(), envelope) {
        detail.extend(envelope);
    }
    json!({
        "version": "0", "id": Uuid::new_v4(), "detail-type": "SESSION_ENDED", "source": "session-service",
        "account": "000000000000", "time": now, "region": "eu-central-1", "resources": [], "detail": detail,
    })
    .to_string()
}

/// A message that nobody can bill, however often.
pub(in crate::prove) fn poisoned(world: &World, number: usize) -> String {
    let event = Uuid::new_v4();
    let session = &world.sessions[number % world.sessions.len()];
    let told = |changes: Value| {
        let mut detail = json!({
            "sessionId": session.id, "userId": world.drivers[session.driver].id, "stationId": Uuid::new_v4(),
            "energyKwh": 1, "endedAt": "2026-01-01T00:00:00Z", "durationMinutes": 1, "incomplete": false,
        });
        if let (Some(detail), Value::Object(changes)) = (detail.as_object_mut(), changes) {
            detail.extend(changes);
        }
        delivery(event, detail)
    };
    match number % 7 {
        0 => format!("no JSON at all: {event}"),
        1 => json!({ "id": event }).to_string(),
        2 => told(json!({ "sessionId": Uuid::new_v4() })),
        3 => told(json!({ "sessionId": "the last one" })),
        4 => told(json!({ "energyKwh": "much" })),
        5 => told(json!({ "userId": null })),
        _ => delivery(event, json!({})).replace("SESSION_ENDED", "SESSION_SWALLOWED"),
    }
}

/// `$1` is the whole world.
const STATEMENTS: [&str; 7] = [
    "WITH station AS (
         INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
         VALUES (($1::jsonb->>'station')::uuid, 'Proving ground', 52.52, 13.405, 'OPERATIONAL', now())
     ), charger AS (
         INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
         VALUES (($1::jsonb->>'charger')::uuid, 'CP-PROOF', ($1::jsonb->>'station')::uuid, 'x', now())
     )
     INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, updated_at)
     VALUES (($1::jsonb->>'connector')::uuid, ($1::jsonb->>'station')::uuid, ($1::jsonb->>'charger')::uuid, 1, 'CCS', 50,
             now())",
    "INSERT INTO tariffs (id, station_id, currency, per_kwh, per_minute, start_fee, vat_rate, valid_from)
     VALUES (($1::jsonb->>'tariff')::uuid, ($1::jsonb->>'station')::uuid, 'EUR', ($1::jsonb->>'perKwh')::numeric,
             ($1::jsonb->>'perMinute')::numeric, ($1::jsonb->>'startFee')::numeric, 0.19, '2020-01-01T00:00:00Z')",
    "INSERT INTO plans (id, name, currency, monthly_price, fair_use_kwh, per_kwh_beyond, vat_rate, created_at)
     VALUES (($1::jsonb->>'plan')::uuid, 'Flat', 'EUR', 49, ($1::jsonb->>'included')::numeric,
             ($1::jsonb->>'perKwhBeyond')::numeric, 0.19, now())",
    "INSERT INTO users (id, email, name, password_hash, id_tag, wallet_balance, wallet_currency, created_at, updated_at)
     SELECT driver.id, 'proof-' || driver.number || '@example.com', 'Driver ' || driver.number, 'x',
            'PROOF' || driver.number, driver.initial, driver.currency, now(), now()
     FROM jsonb_to_recordset($1::jsonb->'drivers') AS driver (id uuid, number integer, initial numeric, currency text)",
    "INSERT INTO wallet_entries (id, user_id, amount, currency, balance, cause, cause_id, reason, created_at)
     SELECT driver.entry, driver.id, driver.initial, driver.currency, driver.initial, 'CREDIT', 'proof/' || driver.id,
            'to begin with', now()
     FROM jsonb_to_recordset($1::jsonb->'drivers') AS driver (id uuid, entry uuid, initial numeric, currency text)
     WHERE driver.initial > 0",
    "WITH flat AS (
         SELECT driver.* FROM jsonb_to_recordset($1::jsonb->'drivers')
             AS driver (id uuid, flat boolean, subscription uuid, period uuid)
         WHERE driver.flat
     ), subscribed AS (
         INSERT INTO subscriptions (id, user_id, plan_id, status, idempotency_key, turns_at, created_at)
         SELECT subscription, id, ($1::jsonb->>'plan')::uuid, 'ACTIVE', 'proof', now() + interval '30 days',
                now() - interval '30 days'
         FROM flat
     )
     INSERT INTO subscription_periods (id, subscription_id, starts_at, ends_at, included_kwh, invoice_id)
     SELECT period, subscription, now() - interval '30 days', now() + interval '30 days',
            ($1::jsonb->>'included')::numeric, gen_random_uuid()
     FROM flat",
    "INSERT INTO sessions (id, user_id, station_id, connector_id, status, start_time, end_time, energy_kwh, tariff_id,
                           remote_start_id, correlation_id, created_at, updated_at)
     SELECT session.id, session.\"user\", ($1::jsonb->>'station')::uuid, ($1::jsonb->>'connector')::uuid,
            CASE WHEN session.early THEN 'STOPPING' ELSE 'COMPLETED' END, session.start, session.\"end\", session.energy, ($1::jsonb->>'tariff')::uuid, 1, gen_random_uuid(),
            session.start, session.\"end\"
     FROM jsonb_to_recordset($1::jsonb->'sessions')
         AS session (id uuid, \"user\" uuid, early boolean, start timestamptz, \"end\" timestamptz, energy numeric)",
];
