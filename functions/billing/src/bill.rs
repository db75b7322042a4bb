//! Billing a session that has ended: the invoice, and its payment from the wallet if that holds enough.

use chrono::{NaiveDate, TimeDelta};
use serde::Deserialize;
use shared::{
    EnergyKwh, Envelope, Event, Failure, InvoiceId, Outbox, SessionId, StationId, Timestamp, UserId,
};
use tracing::{info, warn};
use uuid::Uuid;

use crate::invoices::InvoiceStatus;
use crate::store;
use crate::tariff::Tariff;

/// How long an invoice may stay unpaid.
const DUE_AFTER: TimeDelta = TimeDelta::days(14);

/// The payload of `SESSION_ENDED`, as far as billing reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEnded {
    /// Which session.
    pub session_id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// Where.
    pub station_id: StationId,
    /// What flowed, in kWh. The session's row is what is billed; this only has to agree with it.
    pub energy_kwh: EnergyKwh,
}

impl Event for SessionEnded {
    const TYPE: &'static str = "SESSION_ENDED";
}

/// A session as far as its price depends on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Billable {
    pub(crate) user_id: UserId,
    pub(crate) is_completed: bool,
    pub(crate) energy: EnergyKwh,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    /// The station's own at the time it started, else everyone's.
    pub(crate) tariff: Option<Tariff>,
}

/// What to write.
pub(crate) struct Bill<'a> {
    pub(crate) session: SessionId,
    pub(crate) invoice: InvoiceId,
    pub(crate) entry: Uuid,
    pub(crate) tariff: &'a Tariff,
    pub(crate) total: shared::Money,
    pub(crate) energy: EnergyKwh,
    pub(crate) due: NaiveDate,
}

/// What billing a session came to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "result", rename_all = "UPPERCASE", rename_all_fields = "camelCase")]
pub enum Billed {
    /// It has an invoice now.
    Billed {
        /// The invoice.
        invoice_id: InvoiceId,
        /// `PAID` from the wallet, or `PENDING`.
        status: InvoiceStatus,
    },
    /// It had one.
    Repeated {
        /// The invoice.
        invoice_id: InvoiceId,
        /// As it is now.
        status: InvoiceStatus,
    },
    /// It changed while its price was worked out; nothing was written.
    Changed,
}

/// Bills the session that `event` tells of, once, however often it is told.
pub async fn bill(outbox: &Outbox, event: &Envelope<SessionEnded>, now: Timestamp) -> Result<(), Failure> {
    let told = &event.payload;
    let session = store::billable(outbox.database(), told.session_id).await?;
    let session = session.ok_or_else(|| Failure::invalid("sessionId", "there is no such session"))?;
    let (tariff, total) = price(told, &session)?;
    let bill = Bill {
        session: told.session_id,
        invoice: InvoiceId::new(),
        entry: Uuid::now_v7(),
        tariff,
        total,
        energy: session.energy,
        due: (now + DUE_AFTER).date_naive(),
    };
    match store::bill(outbox, &bill, now, event.correlation_id).await? {
        Billed::Billed { invoice_id, status } => {
            info!(session_id = %told.session_id, %invoice_id, ?status, "session billed");
            Ok(())
        }
        Billed::Repeated { invoice_id, .. } => {
            info!(session_id = %told.session_id, %invoice_id, "session was billed already");
            Ok(())
        }
        Billed::Changed => Err(Failure::Unavailable("the session")),
    }
}

fn price<'s>(told: &SessionEnded, session: &'s Billable) -> Result<(&'s Tariff, shared::Money), Failure> {
    if !session.is_completed {
        return Err(Failure::conflict("SESSION_NOT_COMPLETED", "a session that has not ended is not billed"));
    }
    if told.user_id != session.user_id {
        return Err(Failure::invalid("userId", "is not whose session it is"));
    }
    if told.energy_kwh != session.energy {
        warn!(session_id = %told.session_id, "the event tells of other energy than the session has, which is billed");
    }
    let tariff = session.tariff.as_ref();
    let tariff = tariff.ok_or_else(|| Failure::conflict("NO_TARIFF", "no tariff was valid at its start"))?;
    let total = tariff.cost(session.energy, session.ended_at - session.started_at);
    let total = total.map_err(|error| Failure::conflict("PRICE_TOO_LARGE", error.to_string()))?;
    Ok((tariff, total))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    fn told(energy: f64) -> SessionEnded {
        serde_json::from_value(json!({
            "sessionId": "6fe27f6e-ff2d-4dda-9f86-3de70e1a4bbf",
            "userId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf8",
            "stationId": "48f8fb15-814d-4e9d-97e1-d2caea2a162f",
            "energyKwh": energy,
            "durationMinutes": 58,
            "endedAt": "2026-02-21T14:31:00Z",
        }))
        .unwrap()
    }

    fn session() -> Billable {
        serde_json::from_value(json!({
            "userId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf8",
            "isCompleted": true,
            "energy": "22.4000",
            "startedAt": "2026-02-21T13:33:00.000Z",
            "endedAt": "2026-02-21T14:31:00.000Z",
            "tariff": {
                "id": "00000000-0000-4000-8000-000000000001", "currency": "EUR",
                "perKwh": "0.490000", "perMinute": "0.000000", "startFee": "0.350000",
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_row_is_billed_whatever_the_event_says_of_energy() {
        let total = price(&told(99.9), &session()).unwrap().1;
        assert_eq!(total.to_string(), "11.33 EUR");
    }

    #[test]
    fn an_open_session_and_somebody_elses_are_not_billed() {
        let open = Billable { is_completed: false, ..session() };
        assert!(!price(&told(22.4), &open).unwrap_err().retryable());
        let foreign = Billable { user_id: UserId::new(), ..session() };
        assert_eq!(price(&told(22.4), &foreign).unwrap_err().error_type(), "Invalid");
    }

    #[test]
    fn without_a_tariff_nothing_is_made_up() {
        let untariffed = Billable { tariff: None, ..session() };
        assert_eq!(price(&told(22.4), &untariffed).unwrap_err().error_type(), "Conflict");
    }
}
