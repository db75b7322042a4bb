//! What a million requests a minute need: concurrency, quotas and money, worked out from measured processor time and
//! from assumptions that are all in [`assumptions`]. `docs/CAPACITY.md` has the result in tables that this module writes.

pub mod assumptions;
mod document;
mod money;
mod quotas;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::bench::service::Costs;
use assumptions::{ASKS, Asks, BILLED_MB_OF_ONE_CPU, MEMORY_MB, MIX, Mixed, REQUESTS_PER_SECOND, Times};

pub use document::rewritten;
pub use money::{Line, lines};
pub use quotas::{Quota, quotas};

/// What a bench has measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// The machine, for people.
    pub machine: String,
    /// What each operation of the mix costs.
    pub operations: Costs,
}

/// What a function does because of the mix.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Its binary.
    pub function: String,
    /// Invocations a second.
    pub rate: f64,
    /// Processor time of one, in milliseconds of a whole processor.
    pub cpu_ms: f64,
    /// As the template gives it.
    pub memory_mb: f64,
    /// Of one invocation, in milliseconds: its processor time at its share of a processor, and its waiting.
    pub duration_ms: f64,
    /// Invocations at a time.
    pub concurrency: f64,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Need {
    /// By binary.
    pub functions: Vec<Load>,
    /// What functions ask of others, calls a second.
    pub asked: Times,
    /// Whole processors that PostgreSQL keeps busy.
    pub postgres_cpus: f64,
    /// The same of Redis.
    pub redis_cpus: f64,
    /// Requests a second at each door.
    pub http: f64,
    /// GraphQL operations, those of the bus included.
    pub graphql: f64,
    /// Messages on WebSockets, both ways.
    pub messages: f64,
}

/// Works it out. Fails when an operation of the mix was not measured, or when nobody has said what a function asks.
pub fn need(measured: &Measured) -> Result<Need> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut need = Need {
        functions: Vec::new(),
        asked: Times::default(),
        postgres_cpus: 0.0,
        redis_cpus: 0.0,
        http: 0.0,
        graphql: 0.0,
        messages: 0.0,
    };
    for Mixed { operation, percent, http, graphql, messages, .. } in MIX {
        let cost =
            measured.operations.get(*operation).ok_or_else(|| format!("{operation} was not measured"))?;
        let rate = REQUESTS_PER_SECOND * percent / 100.0;
        need.http += rate * http;
        need.graphql += rate * graphql;
        need.messages += rate * messages;
        need.postgres_cpus += rate * cost.postgres_ms / 1000.0;
        need.redis_cpus += rate * cost.redis_ms / 1000.0;
        for (function, share) in &cost.functions {
            let asks = asks(function)?;
            let sum = sums.entry(function).or_default();
            let invocations = rate * share.invocations;
            sum.rate += invocations;
            sum.cpu_ms += invocations * share.cpu_ms;
            // A consumer asks once for each message, however many come together.
            sum.turns += if asks.each_message { rate.max(invocations) } else { invocations };
        }
    }
    for (function, sum) in sums {
        let asks = asks(function)?;
        need.asked.add(&asks.times, sum.turns);
        let (cpu_ms, memory_mb) = (sum.cpu_ms / sum.rate, memory_mb(function));
        let share = (memory_mb / BILLED_MB_OF_ONE_CPU).min(1.0);
        let duration_ms = cpu_ms / share + asks.times.waiting_ms() * sum.turns / sum.rate;
        need.functions.push(Load {
            function: function.to_owned(),
            rate: sum.rate,
            cpu_ms,
            memory_mb,
            duration_ms,
            concurrency: sum.rate * duration_ms / 1000.0,
        });
    }
    Ok(need)
}

impl Need {
    /// Invocations at a time, of all functions.
    pub fn concurrency(&self) -> f64 {
        self.functions.iter().map(|load| load.concurrency).sum()
    }

    /// Invocations a second, of all functions.
    pub fn invocations(&self) -> f64 {
        self.functions.iter().map(|load| load.rate).sum()
    }
}

#[derive(Default)]
struct Sum {
    rate: f64,
    cpu_ms: f64,
    turns: f64,
}

fn asks(function: &str) -> Result<&'static Asks> {
    let found = ASKS.iter().find(|asks| asks.function == function);
    found.ok_or_else(|| format!("nobody has said what {function} asks of others").into())
}

fn memory_mb(function: &str) -> f64 {
    let listed = MEMORY_MB.iter().find(|(name, _)| *name == function);
    listed.map_or(assumptions::USUAL_MEMORY_MB, |(_, megabytes)| *megabytes)
}
