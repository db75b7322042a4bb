//! Waiting for a condition, with a limit and a name for the failure. Nothing sleeps a fixed time.

use std::time::{Duration, Instant};

use crate::Result;

/// Asks `condition` until it yields a value, every 25 ms for at most `limit`.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await? {
            return Ok(value);
        }
        if started.elapsed() > limit {
            return Err(format!("waited {limit:?} in vain for {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
