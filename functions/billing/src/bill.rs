//! Billing a session that has ended: the invoice, and its payment from the wallet if that holds enough.

use std::sync::Arc;

use serde::Deserialize;
use shared::{
    EnergyKwh, Envelope, Event, Failure, InvoiceId, Outbox, SessionId, StationId, TariffId, Timestamp, UserId,
};
use tariff::{Reading, Tariff};
use tracing::{info, warn};

use crate::facts::{Facts, Priced, needs_readings};
use crate::store;
use crate::tariffs::Tariffs;

/// How often a session may turn out to be another than it was a moment ago.
const ATTEMPTS: usize = 5;

/// The payload of `SESSION_ENDED`, as far as billing reads it. A hint: the session's row is what is billed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEnded {
    /// Which session.
    pub session_id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// Where.
    pub station_id: StationId,
    /// What flowed, in kWh.
    pub energy_kwh: EnergyKwh,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// By which it is to be priced.
    pub tariff_id: Option<TariffId>,
}

impl Event for SessionEnded {
    const TYPE: &'static str = "SESSION_ENDED";
}

/// What one call of `bill_session` came to.
#[derive(Debug, Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub(crate) enum Outcome {
    /// It has an invoice now.
    Billed {
        invoice_id: InvoiceId,
        number: String,
    },
    /// It had one.
    Repeated {
        invoice_id: InvoiceId,
    },
    /// It is not what was assumed, if anything was. Nothing was written.
    Facts {
        facts: Facts,
        tariff: Option<Box<Tariff>>,
        readings: Vec<Reading>,
    },
    NotCompleted,
    NoSession,
}

/// Bills sessions, and remembers by which tariffs.
pub struct Biller {
    outbox: Outbox,
    tariffs: Tariffs,
}

impl Biller {
    /// One that knows no tariff yet.
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox, tariffs: Tariffs::default() }
    }

    /// Bills the session that `event` tells of, once, however often it is told. One call of the database if the event
    /// tells the truth, the tariff is known and no flat rate covers the session; else two.
    pub async fn bill(&self, event: &Envelope<SessionEnded>, now: Timestamp) -> Result<(), Failure> {
        let session_id = event.payload.session_id;
        let mut priced = self.assume(&event.payload, now)?;
        for _ in 0..ATTEMPTS {
            let write = store::bill_statement(session_id, priced.as_ref(), now, event.correlation_id)?;
            let outcome = self.outbox.write(write).await?;
            match outcome.ok_or_else(|| Failure::fault("bill_session gave no row"))? {
                Outcome::Billed { invoice_id, number } => {
                    info!(%session_id, %invoice_id, number, "session billed");
                    return Ok(());
                }
                Outcome::Repeated { invoice_id } => {
                    info!(%session_id, %invoice_id, "session was billed already");
                    return Ok(());
                }
                Outcome::Facts { facts, tariff, readings } => {
                    let tariff = tariff.map(|tariff| self.tariffs.keep(*tariff));
                    priced = Some(corrected(&event.payload, facts, tariff.as_deref(), readings, now)?);
                }
                Outcome::NotCompleted => {
                    let message = "a session that has not ended is not billed";
                    return Err(Failure::conflict("SESSION_NOT_COMPLETED", message));
                }
                Outcome::NoSession => return Err(Failure::invalid("sessionId", "there is no such session")),
            }
        }
        Err(Failure::Unavailable("the session"))
    }

    /// The invoice if the event is right, and no flat rate covers the session; none when the event tells too little.
    fn assume(&self, told: &SessionEnded, now: Timestamp) -> Result<Option<Priced>, Failure> {
        let tariff = told.tariff_id.and_then(|id| self.tariffs.get(id));
        let tariff = tariff.filter(|tariff: &Arc<Tariff>| !needs_readings(tariff));
        let (Some(tariff), Some(started_at), Some(ended_at)) = (tariff, told.started_at, told.ended_at)
        else {
            return Ok(None);
        };
        let facts = Facts {
            user_id: told.user_id,
            station_id: told.station_id,
            energy_kwh: told.energy_kwh,
            started_at,
            ended_at,
            tariff_id: Some(tariff.id),
            coverage: None,
        };
        Priced::new(facts, Some(&tariff), Vec::new(), now).map(Some)
    }
}

/// The invoice by what the session's row says.
fn corrected(
    told: &SessionEnded,
    facts: Facts,
    tariff: Option<&Tariff>,
    readings: Vec<Reading>,
    now: Timestamp,
) -> Result<Priced, Failure> {
    if told.user_id != facts.user_id {
        return Err(Failure::invalid("userId", "is not whose session it is"));
    }
    if told.energy_kwh != facts.energy_kwh {
        let session_id = told.session_id;
        warn!(%session_id, "the event tells of other energy than the session has, which is billed");
    }
    Priced::new(facts, tariff, readings, now)
}
