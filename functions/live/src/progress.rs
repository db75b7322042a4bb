//! How far an update has come, for whoever takes it up after a failure.

use serde::{Deserialize, Serialize};

use crate::SocketId;

/// What is left to do of one update.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Everybody up to this one, in the order of names, has been tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<SocketId>,
    /// Those of them that could not be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) owed: Vec<SocketId>,
    /// Nobody comes after them.
    #[serde(default)]
    pub(crate) is_last: bool,
}

impl Progress {
    pub(crate) fn is_done(&self) -> bool {
        self.is_last && self.owed.is_empty()
    }
}
