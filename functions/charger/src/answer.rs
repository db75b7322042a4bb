//! Answers already given, so that a message sent again gets the same one.

use async_trait::async_trait;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use shared::{Failure, Timestamp};

use crate::{ChargePointId, Connection};

/// Actions whose answer tells the time: an old answer would set a charger's clock wrong, so it is kept for a shorter
/// while and for one socket only.
const TELLING_TIME: [&str; 2] = ["BootNotification", "Heartbeat"];

/// One answer, and what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Of the message's content. Firmware that counts its message ids from 1 after each boot sends other messages with
    /// old ids: those are new messages.
    pub digest: String,
    /// The frame.
    pub frame: String,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

impl Kept {
    pub(crate) fn of(
        connection: &Connection,
        action: &str,
        payload: &str,
        frame: String,
        at: Timestamp,
    ) -> Self {
        let tells_time = TELLING_TIME.contains(&action);
        let scope = if tells_time { connection.id.as_str() } else { "" };
        let lifetime = if tells_time { TimeDelta::seconds(30) } else { TimeDelta::minutes(10) };
        let mut hash = Sha256::new();
        for part in [scope, action, payload] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { digest, frame, expires_at: at + lifetime }
    }
}

/// The answers given lately.
#[async_trait(?Send)]
pub trait Answers {
    /// Keeps an answer, unless the same message has been answered before: then gives that answer's frame.
    async fn keep(
        &self,
        charger: &ChargePointId,
        message_id: &str,
        answer: &Kept,
        at: Timestamp,
    ) -> Result<Option<String>, Failure>;
}
