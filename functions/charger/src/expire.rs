//! What time brings, each minute: calls that nobody answered make room, and sessions that wait in vain are moved on.

use serde::{Deserialize, Serialize};
use shared::{Failure, Timestamp};
use tracing::warn;

use crate::{Desk, Expired};

/// Nothing is asked for: a run always does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpiryRequest {}

/// What a run did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpiryReport {
    /// Calls that chargers did not answer in time.
    pub calls_timed_out: usize,
    /// What changed in the database.
    #[serde(flatten)]
    pub expired: Expired,
}

/// Releases overdue calls and sends what waits behind them, then expires sessions. A session whose start was not
/// answered is left to its own expiry: the charger may still begin.
pub async fn expire(desk: Desk<'_>, at: Timestamp) -> Result<ExpiryReport, Failure> {
    let overdue = desk.calls.overdue(at).await?;
    for call in &overdue {
        desk.calls.expire(call).await?;
        // One charger's trouble must not keep the others waiting.
        if let Err(failure) = desk.dispatch(&call.charge_point_id, at).await {
            warn!(charger = %call.charge_point_id, cause = failure.causes(), "the next call was not sent");
        }
    }
    Ok(ExpiryReport { calls_timed_out: overdue.len(), expired: desk.records.expire(at).await? })
}
