//! Where consumers' messages come from and where they end up, as the template names it.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::{Failure, setting};

/// The queues of one consumer, by their URLs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueuePair {
    /// Where messages go that it could not take.
    pub dead_letters: String,
    /// Where it takes messages from.
    pub source: String,
}

/// Every consumer's queues, by its name (`bill-session`).
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct DeadLetterQueues(pub BTreeMap<String, QueuePair>);

impl DeadLetterQueues {
    /// From `DEAD_LETTER_QUEUES`, `{"bill-session": {"deadLetters": "https://…", "source": "https://…"}, …}`.
    pub fn from_env() -> Result<Self, Failure> {
        serde_json::from_str(&setting("DEAD_LETTER_QUEUES").map_err(Failure::fault)?).map_err(Failure::fault)
    }

    /// Where a consumer takes its messages from; none for one that is not (or no longer) there.
    pub(crate) fn source(&self, consumer: &str) -> Option<&str> {
        self.0.get(consumer).map(|queues| queues.source.as_str())
    }

    /// The consumers' names.
    pub(crate) fn consumers(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}
