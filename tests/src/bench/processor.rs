//! How much processor time the stack's functions and stores have used, by the kernel's own count.

use std::collections::BTreeMap;

use redis::InfoDict;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;
use crate::stack::Stack;

/// What Linux counts processes' time in, a second; the same on every architecture we know.
const TICKS: f64 = 100.0;
/// Functions that took part in fewer of the operations than this were at something else.
const LEAST_SHARE: f64 = 0.01;

/// What was used until a moment.
pub struct Meter {
    /// Seconds and invocations, by function and process.
    functions: BTreeMap<(String, u64), (f64, u64)>,
    postgres: f64,
    redis: f64,
}

/// What one operation costs: everything that happened because of it, consumers of its events included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// By the functions' binaries.
    pub functions: BTreeMap<String, Share>,
    /// Of PostgreSQL, in milliseconds.
    pub postgres_ms: f64,
    /// Of Redis, in milliseconds.
    pub redis_ms: f64,
}

/// A function's part of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// An operation; below one where a batch serves several.
    pub invocations: f64,
    /// Processor time of one invocation, in milliseconds.
    pub cpu_ms: f64,
}

impl Meter {
    /// What was used until now.
    pub async fn read(stack: &Stack) -> Result<Self> {
        let url = format!("{}/_local/processes", stack.lambda_url);
        let processes: Vec<Value> = reqwest::get(url).await?.json().await?;
        let mut functions = BTreeMap::new();
        for process in processes {
            let (Some(name), Some(pid)) = (process["function"].as_str(), process["pid"].as_u64()) else {
                continue;
            };
            // It may have ended since.
            let Ok(used) = Times::of(pid) else { continue };
            let invocations = process["invocations"].as_u64().unwrap_or_default();
            functions.insert((name.to_owned(), pid), (used.own, invocations));
        }
        Ok(Self { functions, postgres: postgres(stack).await?, redis: redis(stack).await? })
    }

    /// What each of `operations` cost since `before`.
    pub fn since(&self, before: &Self, stack: &Stack, operations: usize) -> Cost {
        let operations = operations as f64;
        let mut sums: BTreeMap<&str, (f64, u64)> = BTreeMap::new();
        for (process, (used, invocations)) in &self.functions {
            let earlier = before.functions.get(process).copied().unwrap_or_default();
            let sum = sums.entry(&process.0).or_default();
            sum.0 += used - earlier.0;
            sum.1 += invocations - earlier.1;
        }
        let mut functions = BTreeMap::new();
        for function in &stack.functions {
            let Some((used, invocations)) =
                stack.function_name(&function.binary).and_then(|name| sums.get(name))
            else {
                continue;
            };
            let invocations = *invocations as f64;
            if invocations / operations >= LEAST_SHARE {
                let share =
                    Share { invocations: invocations / operations, cpu_ms: used * 1000.0 / invocations };
                functions.insert(function.binary.clone(), share);
            }
        }
        Cost {
            functions,
            postgres_ms: (self.postgres - before.postgres) * 1000.0 / operations,
            redis_ms: (self.redis - before.redis) * 1000.0 / operations,
        }
    }
}

impl Cost {
    /// Of all functions together, in milliseconds.
    pub fn functions_ms(&self) -> f64 {
        self.functions.values().map(|share| share.invocations * share.cpu_ms).sum()
    }
}

/// A process's times in seconds.
struct Times {
    parent: u64,
    own: f64,
    /// Of children that have ended.
    children: f64,
}

impl Times {
    fn of(pid: u64) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in parentheses, may hold spaces.
        let fields: Vec<&str> = text.rsplit_once(')').ok_or("no name")?.1.split_whitespace().collect();
        let number =
            |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).ok_or("no number");
        let seconds = |a: usize, b: usize| Ok::<_, crate::Error>((number(a)? + number(b)?) as f64 / TICKS);
        Ok(Self { parent: number(1)?, own: seconds(11, 12)?, children: seconds(13, 14)? })
    }
}

/// Of the server and all its processes, ended ones included, in seconds.
async fn postgres(stack: &Stack) -> Result<f64> {
    let rows = stack.sql("SELECT pg_backend_pid()").await?;
    let backend: i32 = rows.first().ok_or("no backend")?.try_get(0)?;
    let server = Times::of(u64::try_from(backend)?)?.parent;
    let of_server = Times::of(server)?;
    let mut seconds = of_server.own + of_server.children;
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Ok(times) = Times::of(pid)
            && times.parent == server
        {
            seconds += times.own + times.children;
        }
    }
    Ok(seconds)
}

async fn redis(stack: &Stack) -> Result<f64> {
    let mut connection =
        redis::Client::open(stack.redis_url.as_str())?.get_multiplexed_async_connection().await?;
    let info: InfoDict = redis::cmd("INFO").arg("cpu").query_async(&mut connection).await?;
    let seconds = |name: &str| info.get::<f64>(name).ok_or_else(|| format!("Redis does not tell {name}"));
    Ok(seconds("used_cpu_user")? + seconds("used_cpu_sys")?)
}
