//! Failures a test asks for: queued ones first, then every n-th request.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fault {
    /// A bare status: 429, 502.
    Status {
        /// The HTTP status.
        status: u16,
        /// Seconds, sent as `Retry-After`.
        retry_after: Option<u64>,
    },
    /// Status 200 and half of the JSON.
    Truncated,
    /// A late answer.
    Slow {
        /// How late.
        milliseconds: u64,
    },
}

/// The faults to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queue: VecDeque<Fault>,
    requests: u64,
}

impl Faults {
    pub(super) fn queue(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.queue.extend(faults);
    }

    /// What goes wrong with the request that just came.
    pub(super) fn next(&mut self, fail_every: Option<u64>) -> Option<Fault> {
        self.requests += 1;
        self.queue.pop_front().or_else(|| {
            let due = fail_every.is_some_and(|n| n > 0 && self.requests.is_multiple_of(n));
            due.then_some(Fault::Status { status: 502, retry_after: None })
        })
    }
}
