//! What the host's owner chooses: where binaries are, what every process is told, and the limits.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::asynchronous::FailedEvent;
use crate::logs::{LogSink, trace_line};

/// Called with each event that failed every attempt. Must not block.
pub type FailureSink = Arc<dyn Fn(FailedEvent) + Send + Sync>;

/// An Invoke endpoint (`cargo lambda watch`, `sam local start-lambda`) that runs what it knows of some functions.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Its base.
    pub endpoint: Url,
    /// Binaries' names or logical ids of the functions meant; empty for all.
    pub only: Vec<String>,
}

/// How the host runs functions. [`Options::new`] gives the defaults.
#[derive(Clone)]
pub struct Options {
    /// Where `<function>` binaries are.
    pub bin_dir: PathBuf,
    /// Given to every process over its template environment (`AWS_ENDPOINT_URL`, …).
    pub extra_env: BTreeMap<String, String>,
    /// Where invocations go instead.
    pub forward: Option<Forward>,
    /// The most processes of one function that reserves no concurrency.
    pub max_processes: usize,
    /// How long an invocation waits for a busy process before it is throttled.
    pub queue_wait: Duration,
    /// A process unused for this long is stopped.
    pub idle_after: Duration,
    /// How long a process may take to its first `next`.
    pub init_timeout: Duration,
    /// Waits before an event's second and third attempts (Lambda's are 1 and 2 minutes).
    pub retry_delays: [Duration; 2],
    /// How long a process may take to end after SIGTERM.
    pub stop_grace: Duration,
    /// Takes each line the processes print.
    pub logs: LogSink,
    /// Takes each event given up on.
    pub on_failure: FailureSink,
}

impl Options {
    /// The defaults, with binaries from `bin_dir`.
    pub fn new(bin_dir: impl Into<PathBuf>) -> Self {
        Self {
            bin_dir: bin_dir.into(),
            extra_env: BTreeMap::new(),
            forward: None,
            max_processes: 16,
            queue_wait: Duration::from_secs(1),
            idle_after: Duration::from_secs(5 * 60),
            init_timeout: Duration::from_secs(10),
            retry_delays: [Duration::from_secs(1), Duration::from_secs(2)],
            stop_grace: Duration::from_millis(500),
            logs: Arc::new(|line| trace_line(&line)),
            on_failure: Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("bin_dir", &self.bin_dir)
            .field("forward", &self.forward)
            .field("max_processes", &self.max_processes)
            .finish_non_exhaustive()
    }
}
