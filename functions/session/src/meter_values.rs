//! `meterValues`: what the meter said during a session, oldest first.

use serde::{Deserialize, Serialize};
use shared::{Caller, Cursor, EnergyKwh, Failure, First, Page, PowerKw, SessionId, Timestamp};

use crate::Stores;

/// The arguments of `Query.meterValues`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeterValuesRequest {
    /// Of which session.
    pub session_id: SessionId,
    /// How many.
    pub first: Option<First>,
    /// The `endCursor` of the page before.
    pub after: Option<Cursor>,
}

/// The GraphQL `MeterValue`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeterValue {
    /// By the charger's clock; no two of a session have the same.
    pub at: Timestamp,
    /// Since the session began; never less than before.
    #[serde(rename = "energyKWh")]
    pub energy: EnergyKwh,
    /// Drawn at that moment, if told.
    #[serde(rename = "powerKW")]
    pub power: Option<PowerKw>,
    /// State of charge in percent, if told.
    pub soc: Option<f64>,
}

/// A page of the readings of the caller's session, or of anybody's for an operator.
pub async fn meter_values(
    stores: &Stores,
    caller: Caller,
    request: MeterValuesRequest,
) -> Result<Page<MeterValue>, Failure> {
    let user = caller.user()?;
    let first = request.first.unwrap_or_default();
    let after = request.after.map(|cursor| cursor.key()).transpose()?;
    let rows = stores.meter_values(user, request.session_id, after, first.with_lookahead()).await?;
    Page::of(first, rows.ok_or(Failure::NotFound("session"))?, |value| value.at)
}
