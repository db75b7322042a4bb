//! Structured logs: one JSON object a line on standard output, which Lambda ships to CloudWatch.

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging at the level of `RUST_LOG`, or `info`. A second call changes nothing.
pub fn start_tracing() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An already installed subscriber is one that a test set up; keep it.
    let _ = json_lines(filter, std::io::stdout).try_init();
}

fn json_lines<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt()
        .json()
        .with_env_filter(filter)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .flatten_event(true)
        .with_ansi(false)
        .with_writer(writer)
        .finish()
}

/// What `work` logs, line by line.
#[cfg(test)]
pub(crate) async fn lines_of<T>(work: impl Future<Output = T>) -> (T, Vec<serde_json::Value>) {
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing::instrument::WithSubscriber;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = json_lines(EnvFilter::new("info"), move || writer.clone());
    let done = work.with_subscriber(subscriber).await;
    let bytes = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let parsed = String::from_utf8_lossy(&bytes).lines().map(serde_json::from_str).collect::<Result<_, _>>();
    (done, parsed.unwrap_or_default())
}
