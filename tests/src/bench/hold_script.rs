//! The script that takes a hold beside plain `SET`, on the same Redis, in turns. Both are driven by `redis-benchmark`, which
//! is Redis's own, so that no client of ours is what is measured.

use booking::take_hold;
use chrono::{DateTime, TimeDelta, Utc};
use redis::aio::MultiplexedConnection;
use redis::{Arg, Client, ConnectionAddr, InfoDict, IntoConnectionInfo, cmd, pipe};
use tokio::process::Command;
use uuid::Uuid;

use super::drivers::Driver;
use super::rest;
use super::slots::Slot;
use crate::Result;
use crate::stack::Stack;

const ROUNDS: usize = 5;
/// Calls of each kind in a round.
const CALLS: usize = 10_000;
/// Connectors and drivers that have a hold, where they shall have one: enough that few are asked for twice in a round.
const WITH_A_HOLD: usize = 250_000;
/// Of twelve digits, as many as the end of an id has.
const ANY: &str = "__rand_int__";
/// What is measured leaves nothing among the stack's keys.
const DATABASE: i64 = 15;

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

/// What the holds are taken beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Neither connector nor driver has one.
    Nothing,
    /// Each connector and each driver has one, of another time.
    AnotherHold,
}

/// Holds of free slots, and texts of an entry's size under fresh keys, each of 50 connections sending `depth` at a time.
pub async fn measure(stack: &Stack, beside: Beside, depth: usize) -> Result<Compared> {
    let door = Client::open(stack.redis_url.as_str())?;
    let address = door.get_connection_info().addr().clone();
    let ConnectionAddr::Tcp(host, port) = address else { return Err("Redis is not at a port".into()) };
    let info = (host.clone(), port).into_connection_info()?;
    let settings = info.redis_settings().clone().set_db(DATABASE);
    let mut redis =
        Client::open(info.set_redis_settings(settings))?.get_multiplexed_async_connection().await?;

    let now = DateTime::from_timestamp_millis(Utc::now().timestamp_millis()).ok_or("no moment")?;
    // Redis learns the script.
    rest::take(&mut redis, &rest::hold_of(&anyone(), slot(0, now), now), now).await?;
    let keys = match beside {
        Beside::Nothing => 1_000_000_000,
        Beside::AnotherHold => {
            give_holds(&mut redis, &hold(0, now)?).await?;
            WITH_A_HOLD
        }
    };
    let text = "x".repeat(hold(0, now)?[5].len());
    let set = ["SET", "bench:__rand_int__", &text].map(str::to_owned);

    let (mut holding, mut setting) = (Spent::default(), Spent::default());
    for round in 1..=ROUNDS {
        let load = Load { host: &host, port, keys, depth };
        setting.add(load.run(&mut redis, "set", &set).await?);
        let spent = load.run(&mut redis, "evalsha", &hold(round, now)?).await?;
        // A hold that is taken is two keys.
        let taken = statistic(&mut redis, "set", "calls").await? / 2.0 / CALLS as f64;
        if taken < 0.9 {
            return Err(format!("{taken} of the holds of free slots were taken").into());
        }
        holding.add(spent);
    }
    cmd("FLUSHDB").exec_async(&mut redis).await?;
    let (rounds, calls) = (ROUNDS as f64, (ROUNDS * CALLS) as f64);
    Ok(Compared {
        holds: calls / holding.seconds,
        sets: calls / setting.seconds,
        hold_us: holding.us / rounds,
        set_us: setting.us / rounds,
    })
}

/// What a round took, or all of them.
#[derive(Clone, Copy, Default)]
struct Spent {
    seconds: f64,
    /// Of Redis itself, for a call.
    us: f64,
}

impl Spent {
    fn add(&mut self, more: Self) {
        self.seconds += more.seconds;
        self.us += more.us;
    }
}

struct Load<'a> {
    host: &'a str,
    port: u16,
    /// How many [`ANY`] stands for.
    keys: usize,
    depth: usize,
}

impl Load<'_> {
    async fn run(&self, redis: &mut MultiplexedConnection, name: &str, call: &[String]) -> Result<Spent> {
        cmd("CONFIG").arg("RESETSTAT").exec_async(redis).await?;
        let output = Command::new("redis-benchmark")
            .args(["-h", self.host, "-p", &self.port.to_string(), "--dbnum", &DATABASE.to_string(), "--csv"])
            .args(["-n", &CALLS.to_string(), "-r", &self.keys.to_string(), "-P", &self.depth.to_string()])
            .args(call)
            .output()
            .await?;
        let told = String::from_utf8_lossy(&output.stdout);
        // The call, which may have anything in it, then seven figures; the first is calls a second.
        let rate = told.lines().last().and_then(|line| line.rsplit(',').nth(6));
        let rate: f64 = rate
            .and_then(|rate| rate.trim_matches('"').parse().ok())
            .ok_or_else(|| format!("redis-benchmark: {told}{}", String::from_utf8_lossy(&output.stderr)))?;
        let us = statistic(redis, name, "usec_per_call").await?;
        Ok(Spent { seconds: CALLS as f64 / rate, us })
    }
}

async fn statistic(redis: &mut MultiplexedConnection, name: &str, field: &str) -> Result<f64> {
    let stats: InfoDict = cmd("INFO").arg("commandstats").query_async(redis).await?;
    let text: String = stats.get(&format!("cmdstat_{name}")).unwrap_or_default();
    let fields = text.split(',').filter_map(|field| field.split_once('='));
    let value = fields.into_iter().find(|(name, _)| *name == field).ok_or_else(|| format!("no {name}"))?.1;
    Ok(value.parse()?)
}

/// The words of the call that takes the hold of any connector for any driver, at the `turn`th hour.
fn hold(turn: usize, now: DateTime<Utc>) -> Result<Vec<String>> {
    const NONE: &str = "000000000000";
    let any = Uuid::parse_str("0190a5b0-1c2d-7e3f-8a4b-000000000000")?;
    let slot = Slot { station: any.into(), connector: any.into(), ..slot(turn, now) };
    let driver = Driver { id: any.into(), token: String::new() };
    let mut call = pipe();
    call.invoke_script(&take_hold(&rest::hold_of(&driver, slot, now), now, 3));
    let words = call.cmd_iter().flat_map(redis::Cmd::args_iter).map(|word| match word {
        Arg::Simple(word) => Ok(std::str::from_utf8(word)?.replace(NONE, ANY)),
        _ => Err("the script's call has no end".into()),
    });
    words.collect()
}

/// Writes what `hold` would, for every connector and every driver that [`ANY`] may stand for.
async fn give_holds(redis: &mut MultiplexedConnection, hold: &[String]) -> Result<()> {
    let [_, _, _, connector, user, of_connector, of_user, ..] = hold else {
        return Err("no call of the script".into());
    };
    let numbers: Vec<String> = (0..WITH_A_HOLD).map(|number| format!("{number:012}")).collect();
    for some in numbers.chunks(1000) {
        let mut sets = pipe();
        for number in some {
            sets.set(connector.replace(ANY, number), of_connector.replace(ANY, number)).ignore();
            sets.set(user.replace(ANY, number), of_user.replace(ANY, number)).ignore();
        }
        sets.exec_async(redis).await?;
    }
    Ok(())
}

/// Somebody whom only Redis hears of.
fn anyone() -> Driver {
    Driver { id: Uuid::new_v4().into(), token: String::new() }
}

/// The hour that starts `turn` hours from the next, of a connector that only Redis hears of.
fn slot(turn: usize, now: DateTime<Utc>) -> Slot {
    let start = now + TimeDelta::hours(1 + turn as i64);
    Slot {
        station: Uuid::new_v4().into(),
        connector: Uuid::new_v4().into(),
        start,
        end: start + TimeDelta::hours(1),
    }
}
