//! Stations whose connectors can be booked, made behind the doors, and their slots, each given out once.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DurationRound, TimeDelta, Utc};
use shared::{ConnectorId, StationId, Timestamp};
use uuid::Uuid;

use crate::Result;
use crate::stack::Stack;

const STATIONS: usize = 200;
const CONNECTORS_A_STATION: usize = 4;
/// The shortest that can be held.
const LENGTH: TimeDelta = TimeDelta::minutes(15);
/// A little less than holds may be ahead.
const SLOTS_A_CONNECTOR: usize = 29 * 24 * 4;
/// What confirming costs, EUR.
const FEE: &str = "1.00";

/// Two hundred stations with four connectors each; confirming a booking costs something.
pub struct Slots {
    connectors: Vec<(StationId, ConnectorId)>,
    first: Timestamp,
    taken: AtomicUsize,
}

/// A time of a connector.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// The connector's.
    pub station: StationId,
    /// Which.
    pub connector: ConnectorId,
    /// From …
    pub start: Timestamp,
    /// … to.
    pub end: Timestamp,
}

impl Slots {
    /// New ones, of an operator of their own.
    pub async fn create(stack: &Stack) -> Result<Self> {
        let operator = format!("Bench {}", Uuid::new_v4());
        let insert = format!(
            "WITH tariff AS (
                 INSERT INTO tariffs (id, operator, currency, per_kwh, booking_fee, vat_rate, valid_from)
                 VALUES (gen_random_uuid(), '{operator}', 'EUR', 0.49, {FEE}, 0.19, now() - interval '1 hour')
             ), station AS (
                 INSERT INTO stations (id, name, latitude, longitude, status, operator, updated_at)
                 SELECT gen_random_uuid(), 'Bench ' || number, 10, number / 100.0, 'OPERATIONAL', '{operator}', now()
                 FROM generate_series(1, {STATIONS}) AS number
                 RETURNING id
             ), charger AS (
                 INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
                 SELECT gen_random_uuid(), 'CP-' || id, id, 'x', now() FROM station RETURNING id, station_id
             )
             INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, status,
                                     status_at, updated_at)
             SELECT gen_random_uuid(), station_id, id, number, 'CCS (Type 2)', 50, 'AVAILABLE', now(), now()
             FROM charger CROSS JOIN generate_series(1, {CONNECTORS_A_STATION}) AS number
             RETURNING station_id::text, id::text"
        );
        let mut connectors = Vec::new();
        for row in stack.sql(&insert).await? {
            connectors.push((row.try_get::<_, &str>(0)?.parse()?, row.try_get::<_, &str>(1)?.parse()?));
        }
        let first = (Utc::now() + TimeDelta::hours(2)).duration_trunc(TimeDelta::hours(1))?;
        Ok(Self { connectors, first, taken: AtomicUsize::new(0) })
    }

    /// One that nobody was given yet; consecutive ones are at different connectors. None when all are gone.
    pub fn next(&self) -> Option<Slot> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let (station, connector) = self.connectors[number % self.connectors.len()];
        let turn = number / self.connectors.len();
        let start = self.first + LENGTH * i32::try_from(turn).ok()?;
        (turn < SLOTS_A_CONNECTOR).then(|| Slot { station, connector, start, end: start + LENGTH })
    }

    /// The station of that number, beginning anew after the last.
    pub fn station(&self, number: usize) -> StationId {
        self.connectors[number * CONNECTORS_A_STATION % self.connectors.len()].0
    }

    /// How many stations there are.
    pub fn stations(&self) -> usize {
        STATIONS
    }
}
