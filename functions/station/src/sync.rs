//! `sync-ocm`: keeps the mirror of OpenChargeMap. A run takes all POIs modified since the last one, page by page; what
//! it has done is noted after each page, so that a run cut off continues where it was, and a page done twice changes
//! nothing. Ends with `OCM_SYNC_COMPLETED`.

mod destination;
mod page;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::{CorrelationId, Failure, Invocation, Timestamp};
use tokio::time::Instant;
use tracing::info;

use crate::ocm::client::{NoPage, OpenChargeMap};
use crate::ocm::paging::{Next, Position};
use crate::store::aurora::{Run, Tally};

use destination::Destination;
pub use destination::Synchronisation;

/// POIs a page: about 1.6 MB.
const PAGE: usize = 500;
/// An increment begins this much before the newest POI of the last: bulk imports appear later than they are dated.
const OVERLAP: chrono::TimeDelta = chrono::TimeDelta::hours(6);
/// No page is begun with less time left than this.
const RESERVE: Duration = Duration::from_secs(10);

/// The input of `sync-ocm`; the schedule's is empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncRequest {
    /// Begin with the first POI there is, whatever was mirrored before.
    #[serde(default)]
    full: bool,
    /// Stop after so many pages.
    max_pages: Option<u32>,
    /// Only continue a run that was cut off.
    #[serde(default)]
    resume_only: bool,
}

/// What an invocation achieved.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether the run is over; one that is not continues in the next invocation.
    pub finished: bool,
    /// Pages of this invocation.
    pub pages: u32,
    /// POIs taken up by the run so far.
    pub processed: i64,
    /// Of those, new or different ones.
    pub updated: i64,
    /// Of those, such as could not be mirrored.
    pub failed: i64,
}

/// Runs, or continues, a synchronisation until it is over or the invocation's time is.
pub async fn synchronise(
    stores: &Synchronisation,
    invocation: Invocation,
    request: SyncRequest,
) -> Result<Report, Failure> {
    let upstream = stores.upstream().await?;
    advance(stores, &upstream, invocation, &request).await
}

async fn advance(
    stores: &impl Destination,
    upstream: &OpenChargeMap,
    invocation: Invocation,
    request: &SyncRequest,
) -> Result<Report, Failure> {
    let left = (invocation.deadline - invocation.at).to_std().unwrap_or_default();
    let deadline = Instant::now() + left.saturating_sub(RESERVE.min(left / 2));
    let Some(mut run) = run(stores, request, invocation.at).await? else {
        return Ok(Report { finished: true, pages: 0, processed: 0, updated: 0, failed: 0 });
    };
    let mut limit = PAGE;
    let mut pages = 0;
    let finished = loop {
        if Instant::now() >= deadline || request.max_pages.is_some_and(|most| pages >= most) {
            break false;
        }
        let raw = match upstream.page(&run.position, limit, deadline).await {
            Ok(raw) => raw,
            Err(NoPage::OutOfTime) => break false,
            Err(error @ NoPage::Down(_)) => {
                tracing::warn!(cause = %error, "stopped");
                return Err(Failure::Unavailable("OpenChargeMap"));
            }
            Err(error @ NoPage::Refused(_)) => return Err(Failure::fault(error)),
        };
        pages += 1;
        let items = page::read(&raw);
        let rows: Vec<_> = items.iter().map(page::Item::row).collect();
        let step = run.position.step(&rows, limit).map_err(Failure::fault)?;
        let fresh: Vec<_> = step.fresh.iter().filter_map(|index| items.get(*index)).collect();
        let tally = page::mirror(stores, &fresh, invocation.at).await?;
        stores.advance(&run, &step.position, tally).await?;
        run.position = step.position;
        run.tally = run.tally.plus(tally);
        info!(
            since = ?run.position.since, rows = rows.len(), fresh = fresh.len(),
            updated = tally.updated, failed = tally.failed, "page"
        );
        match step.next {
            Next::Page => limit = PAGE,
            Next::LargerPage => limit = limit.saturating_mul(2),
            Next::End => break true,
        }
    };
    if finished {
        // A POI dated in the future must not hide all that comes before its date.
        let newest = run.position.since.map(|newest| newest.min(run.started_at));
        stores.finish(&run, newest, chrono::Utc::now().max(invocation.at)).await?;
    }
    let Tally { processed, updated, failed } = run.tally;
    Ok(Report { finished, pages, processed, updated, failed })
}

/// The run to continue, or else a new one; none when there is nothing to continue and nothing else was asked for.
async fn run(
    stores: &impl Destination,
    request: &SyncRequest,
    at: Timestamp,
) -> Result<Option<Run>, Failure> {
    let progress = stores.progress().await?;
    match progress.run {
        Some(run) if run.full || !request.full => return Ok(Some(run)),
        None if request.resume_only => return Ok(None),
        _ => {}
    }
    let since = progress.modified_since.filter(|_| !request.full).map(|since| since - OVERLAP);
    let run = Run {
        id: CorrelationId::new(),
        started_at: at,
        full: since.is_none(),
        position: Position { since, ..Position::default() },
        tally: Tally::default(),
    };
    stores.begin(&run).await?;
    Ok(Some(run))
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            processed: self.processed + other.processed,
            updated: self.updated + other.updated,
            failed: self.failed + other.failed,
        }
    }
}
