//! What the benchmark reads of each process: how fast it started and how much memory it holds.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// One living process. As JSON: camelCase, the duration in milliseconds (`spawnToReadyMs`).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessReport {
    /// The function's name.
    pub function: String,
    /// The operating system's process id; none while it is being spawned.
    pub pid: Option<u32>,
    /// From spawn to its first `next`; none until then.
    #[serde(rename = "spawnToReadyMs", serialize_with = "milliseconds")]
    pub spawn_to_ready: Option<Duration>,
    /// Resident now (`VmRSS`); zero if it just ended.
    pub rss_bytes: u64,
    /// The most it was ever resident (`VmHWM`).
    pub peak_rss_bytes: u64,
    /// How many it was given.
    pub invocations: u64,
    /// True while it has one in hand.
    pub busy: bool,
}

fn milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64() * 1000.0).serialize(serializer)
}

/// `VmRSS` and `VmHWM` of a process, in bytes.
pub(crate) fn resident(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = |name: &str| -> u64 {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    };
    (kilobytes("VmRSS:") * 1024, kilobytes("VmHWM:") * 1024)
}
