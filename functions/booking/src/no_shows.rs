//! What the clock does to bookings, every five minutes. Any number of runs may do so at once: what one has in hand the
//! others leave alone.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use shared::{Failure, Invocation};
use tracing::warn;

use crate::desk::Desk;
use crate::policy::Policy;
use crate::store::bookings as store;

/// Bookings changed by one statement: its one row, which the Data API wants below 64 KB, tells of each with its events.
const BATCH: i64 = 20;
/// Holds that go by one statement, which names none of them.
const HOLDS: i64 = 1000;
/// No batch is begun so close to the deadline.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// Nothing is asked for: a run does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {}

/// What a run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Marked {
    /// Bookings told of that begin in ten minutes.
    pub due: usize,
    /// Bookings whose driver did not come.
    pub no_shows: usize,
    /// Bookings that were found to have a session.
    pub followed: usize,
    /// Bookings whose session is over.
    pub completed: usize,
    /// Lapsed holds that are gone.
    pub purged: usize,
    /// Bookings whose driver did not come, but whose money cannot go back: they wait for the next run.
    pub failed: usize,
}

/// Tells of bookings that are due, calls those no-shows whose driver did not come, and completes those whose session is
/// over, until nothing of that is left or the deadline is near.
pub async fn mark_no_shows(
    desk: &Desk,
    policy: &Policy,
    invocation: Invocation,
    MarkRequest {}: MarkRequest,
) -> Result<Marked, Failure> {
    let now = invocation.at;
    let mut marked = Marked::default();
    let has_time = || chrono::Utc::now() < invocation.deadline - MARGIN;
    while has_time() {
        let told = store::tell_due(&desk.outbox, BATCH, now).await?;
        marked.due += told;
        if is_last(told, BATCH) {
            break;
        }
    }
    let mut stuck = Vec::new();
    while has_time() {
        let store::Missed { followed, freed, failed } =
            store::mark(&desk.outbox, policy, &stuck, BATCH, now).await?;
        marked.followed += followed;
        marked.no_shows += freed.len();
        for booking in &freed {
            desk.free(booking).await;
        }
        for store::Stuck { booking, cause } in &failed {
            warn!(booking.id = %booking, cause, "nobody came, and the money cannot go back");
            stuck.push(*booking);
        }
        if is_last(freed.len() + followed + failed.len(), BATCH) {
            break;
        }
    }
    marked.failed = stuck.len();
    while has_time() {
        let store::Tidied { purged, freed } = store::tidy(desk.outbox.database(), BATCH, HOLDS, now).await?;
        marked.purged += purged;
        marked.completed += freed.len();
        for booking in &freed {
            desk.free(booking).await;
        }
        if is_last(freed.len(), BATCH) && is_last(purged, HOLDS) {
            break;
        }
    }
    Ok(marked)
}

/// Whether a batch that found so few has left nothing, but what other runs have in hand.
fn is_last(found: usize, most: i64) -> bool {
    i64::try_from(found).is_ok_and(|found| found < most)
}
