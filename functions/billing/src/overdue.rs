//! What a day brings: invoices whose due date is past are overdue, and their owners are reminded, three times in all.

use serde::{Deserialize, Serialize};
use shared::{CorrelationId, Failure, Outbox, Timestamp};

use crate::store;

/// How many invoices one statement takes; its events are one row, which the Data API bounds to 64 KB.
const BATCH: i64 = 50;
/// How many batches one run takes on: a minute or two of work.
const BATCHES: usize = 200;

/// Nothing is asked for: a run always does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverdueRequest {}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OverdueReport {
    /// Invoices that were told to be overdue, now or again.
    pub reminded: i64,
    /// Whether there may be more than one run takes on: the next carries on.
    pub unfinished: bool,
}

/// What one batch came to.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch {
    pub(crate) reminded: i64,
}

/// Marks invoices overdue and tells of them: on the day after the due date, and 7 and 14 days later, while they are
/// owed. Harmless to repeat, also at the same time.
pub async fn mark_overdue(outbox: &Outbox, now: Timestamp) -> Result<OverdueReport, Failure> {
    let correlation_id = CorrelationId::new();
    let mut reminded = 0;
    for _ in 0..BATCHES {
        let batch = store::mark_overdue(outbox, BATCH, now, correlation_id).await?;
        reminded += batch.reminded;
        if batch.reminded < BATCH {
            return Ok(OverdueReport { reminded, unfinished: false });
        }
    }
    Ok(OverdueReport { reminded, unfinished: true })
}
