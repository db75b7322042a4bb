//! Forgets what is done with: events that the bus took, and what drivers were told, after ninety days. Never an event
//! that the bus did not take, and never a dead letter or an audit row.

use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shared::{Database, DatabaseError, Failure, Invocation};

use crate::store::records::{forget_events, forget_notifications};

/// How long things are kept.
const KEPT: TimeDelta = TimeDelta::days(90);
/// Rows a statement: few enough that nobody waits for it.
const BATCH: i64 = 2000;
/// No statement is begun so close to the deadline.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// Nothing is asked for: a run always does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeRequest {}

/// What a run did.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// Events forgotten.
    pub events: u64,
    /// Notifications forgotten.
    pub notifications: u64,
    /// Whether nothing old is left; if not, the time was up.
    pub finished: bool,
}

/// Forgets what is old, as much as the time allows.
pub async fn purge(database: &Database, invocation: Invocation) -> Result<PurgeReport, Failure> {
    let before = invocation.at - KEPT;
    let has_time = || Utc::now() + MARGIN < invocation.deadline;
    let (events, no_events) = drain(async || forget_events(database, before, BATCH).await, has_time).await?;
    let (notifications, no_notifications) =
        drain(async || forget_notifications(database, before, BATCH).await, has_time).await?;
    Ok(PurgeReport { events, notifications, finished: no_events && no_notifications })
}

/// How many rows went, and whether none is left.
async fn drain(
    forget: impl AsyncFn() -> Result<u64, DatabaseError>,
    has_time: impl Fn() -> bool,
) -> Result<(u64, bool), Failure> {
    let mut forgotten = 0;
    while has_time() {
        let now = forget().await?;
        forgotten += now;
        if now < BATCH.unsigned_abs() {
            return Ok((forgotten, true));
        }
    }
    Ok((forgotten, false))
}
