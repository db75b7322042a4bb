//! Structured logs: one JSON object a line on standard output, which Lambda ships to CloudWatch.

use tracing_subscriber::EnvFilter;

/// Starts logging at the level of `RUST_LOG`, or `info`. A second call changes nothing.
pub fn start_tracing() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An already installed subscriber is one that a test set up; keep it.
    let _ = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .flatten_event(true)
        .with_ansi(false)
        .try_init();
}
