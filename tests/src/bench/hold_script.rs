//! The script that takes a hold beside plain `SET`, on the same Redis, by the same clients and connections, in turns.

use std::time::{Duration, Instant};

use booking::take_hold;
use chrono::{DateTime, TimeDelta, Utc};
use redis::aio::MultiplexedConnection;
use redis::{InfoDict, Pipeline, cmd, pipe};
use shared::{ConnectorId, StationId, UserId};
use uuid::Uuid;

use super::drivers::Driver;
use super::rest;
use super::slots::Slot;
use crate::Result;
use crate::stack::Stack;

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;
/// Calls of each kind, a connection and round.
const CALLS: usize = 1000;
/// Drivers hold one to three slots.
const HOLDS_A_DRIVER: usize = 2;
/// Live at a time: a hold lasts ten minutes, and most connectors have none.
const HOLDS_A_CONNECTOR: usize = 3;

/// Rates in calls a second.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    /// Of the script.
    pub holds: f64,
    /// Of `SET`.
    pub sets: f64,
    /// Redis's own time for a call of the script, what it calls included, in microseconds.
    pub hold_us: f64,
    /// The same for a `SET`.
    pub set_us: f64,
}

/// Holds of fresh slots, and texts of an entry's size under fresh keys, `depth` calls sent at a time.
pub async fn measure(stack: &Stack, depth: usize) -> Result<Compared> {
    let client = redis::Client::open(stack.redis_url.as_str())?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(client.get_multiplexed_async_connection().await?);
    }
    let now = DateTime::from_timestamp_millis(Utc::now().timestamp_millis()).ok_or("no moment")?;
    // Redis learns the script.
    let slots = Fresh::new(now);
    rest::take(&mut connections[0], &rest::hold_of(&driver(), slots.slot(0), now), now).await?;
    cmd("CONFIG").arg("RESETSTAT").exec_async(&mut connections[0]).await?;

    let (mut holding, mut setting) = (Duration::ZERO, Duration::ZERO);
    let (mut keys, mut first) = (Vec::new(), 1);
    for _ in 0..ROUNDS {
        let mut sets = Vec::new();
        let mut holds = Vec::new();
        for _ in 0..CONNECTIONS {
            sets.push(set_batches(depth, &mut keys));
            holds.push(hold_batches(&slots, first, depth, now));
            first += CALLS;
        }
        setting += run(&connections, sets, |_: &Vec<String>| true).await?;
        holding +=
            run(&connections, holds, |told: &Vec<Vec<String>>| told.iter().all(|told| told == &["TAKEN"]))
                .await?;
    }
    let calls = (ROUNDS * CONNECTIONS * CALLS) as f64;
    let stats: InfoDict = cmd("INFO").arg("commandstats").query_async(&mut connections[0]).await?;
    let each = |name: &str| -> Result<f64> {
        let text: String =
            stats.get(&format!("cmdstat_{name}")).ok_or_else(|| format!("no {name} was called"))?;
        let value =
            text.split(',').find_map(|field| field.strip_prefix("usec_per_call=")).ok_or("no time")?;
        Ok(value.parse()?)
    };
    let (hold_us, set_us) = (each("evalsha")?, each("set")?);
    for some in keys.chunks(1000) {
        pipe().cmd("UNLINK").arg(some).ignore().exec_async(&mut connections[0]).await?;
    }
    Ok(Compared {
        holds: calls / holding.as_secs_f64(),
        sets: calls / setting.as_secs_f64(),
        hold_us,
        set_us,
    })
}

/// Each connection sends its batches one after another, all connections at once; gives how long that took.
async fn run<T: redis::FromRedisValue>(
    connections: &[MultiplexedConnection],
    work: Vec<Vec<Pipeline>>,
    good: impl Fn(&T) -> bool,
) -> Result<Duration> {
    let (started, good) = (Instant::now(), &good);
    let workers = connections.iter().zip(work).map(async |(connection, batches)| {
        let mut connection = connection.clone();
        for batch in batches {
            let told: T = batch.query_async(&mut connection).await?;
            if !good(&told) {
                return Err(crate::Error::from("a fresh slot is not free"));
            }
        }
        Ok(())
    });
    futures::future::try_join_all(workers).await?;
    Ok(started.elapsed())
}

fn set_batches(depth: usize, keys: &mut Vec<String>) -> Vec<Pipeline> {
    // An entry of a connector's text, as to size.
    let value = "x".repeat(115);
    let batch = |_| {
        let mut batch = pipe();
        for _ in 0..depth {
            let key = format!("bench:{}", Uuid::new_v4());
            batch.set(&key, &value);
            keys.push(key);
        }
        batch
    };
    (0..CALLS / depth).map(batch).collect()
}

fn hold_batches(slots: &Fresh, first: usize, depth: usize, now: DateTime<Utc>) -> Vec<Pipeline> {
    let mut who = driver();
    let mut batches = Vec::with_capacity(CALLS / depth);
    for batch in 0..CALLS / depth {
        let mut pipeline = pipe();
        for call in batch * depth..(batch + 1) * depth {
            if call.is_multiple_of(HOLDS_A_DRIVER) {
                who = driver();
            }
            pipeline.invoke_script(&take_hold(&rest::hold_of(&who, slots.slot(first + call), now), now, 3));
        }
        batches.push(pipeline);
    }
    batches
}

/// Somebody whom only Redis hears of.
fn driver() -> Driver {
    Driver { id: UserId::new(), token: String::new() }
}

/// Connectors that only Redis hears of, each with as many slots as it has holds.
struct Fresh {
    connectors: Vec<(StationId, ConnectorId)>,
    start: DateTime<Utc>,
}

impl Fresh {
    fn new(now: DateTime<Utc>) -> Self {
        let connector = |_| (Uuid::new_v4().into(), Uuid::new_v4().into());
        let connectors = (0..=ROUNDS * CONNECTIONS * CALLS / HOLDS_A_CONNECTOR).map(connector).collect();
        Self { connectors, start: now + TimeDelta::hours(1) }
    }

    fn slot(&self, number: usize) -> Slot {
        let (station, connector) = self.connectors[number % self.connectors.len()];
        let turn = u32::try_from(number / self.connectors.len()).unwrap_or_default();
        let start = self.start + TimeDelta::hours(i64::from(turn));
        Slot { station, connector, start, end: start + TimeDelta::hours(1) }
    }
}
