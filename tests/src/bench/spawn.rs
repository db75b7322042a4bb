//! How long a function takes from spawn to ready, and how large it then is: a Runtime API that only says when the
//! function first asks for work.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Notify;

use super::sample::Sample;
use crate::Result;

/// What a function came to.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Spawn to first `next`.
    pub delays: Sample,
    /// The largest resident size when ready, in MB.
    pub resident_mb: f64,
}

/// What Lambda itself tells a function, beside what the template does.
const OF_LAMBDA: [(&str, &str); 5] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
];

/// Spawns `binary` `times` times, one after another, and once before: what reading it from the disk takes is the disk's.
pub async fn measure(binary: &Path, variables: &BTreeMap<String, String>, times: usize) -> Result<Ready> {
    let asked = Arc::new(Notify::new());
    let asked_here = Arc::clone(&asked);
    let next = get(async move || {
        asked_here.notify_one();
        std::future::pending::<()>().await;
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/2018-06-01/runtime/invocation/next", next)).await
    });
    let mut ready = Ready { delays: Sample::default(), resident_mb: 0.0 };
    for time in 0..=times {
        let started = Instant::now();
        let mut process = Command::new(binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .envs(OF_LAMBDA)
            .envs(variables)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        tokio::time::timeout(Duration::from_secs(10), asked.notified())
            .await
            .map_err(|_| format!("{} never became ready", binary.display()))?;
        if time > 0 {
            ready.delays.add(started.elapsed());
        }
        ready.resident_mb = ready.resident_mb.max(resident_mb(process.id())?);
        process.kill().await?;
    }
    server.abort();
    Ok(ready)
}

fn resident_mb(pid: Option<u32>) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.ok_or("the process is gone")?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
