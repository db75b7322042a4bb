//! What a report makes of connectors and sessions; `take_vendor_report` of migration 0017 is the rule.

use serde::Deserialize;
use serde_json::Value;
use shared::{Failure, Outbox, SessionId, Timestamp};
use tracing::{info, warn};

use crate::{Report, Told, store};

/// What came of a report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "result", rename_all = "UPPERCASE", rename_all_fields = "camelCase")]
pub enum Taken {
    /// It was acted on.
    Taken {
        /// The driver's session, if there is one.
        session_id: Option<SessionId>,
        /// Why a session that has started is nobody's.
        no_session: Option<String>,
        /// Whether the vendor's sum is another than the difference of its readings.
        #[serde(default)]
        energy_differs: bool,
    },
    /// It had been.
    Repeated,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Refused { refusal: Refusal },
    Taken(Taken),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Refusal {
    UnknownVendor,
    UnknownConnector,
    StartedOtherwise,
    EndedOtherwise,
    SettledWithoutEnd,
}

/// Acts on a report, once, however often and in whatever order reports come. A refusal is hopeless: it is for people to
/// set up what is missing, and to replay it.
pub async fn process(outbox: &Outbox, report: &Report, now: Timestamp) -> Result<Taken, Failure> {
    match store::take_report(outbox, report, fields(&report.told)?, now).await? {
        Outcome::Taken(taken) => {
            let (vendor, webhook) = (report.vendor_id, report.webhook_id.as_str());
            match &taken {
                Taken::Taken { energy_differs: true, session_id, .. } => {
                    warn!(%vendor, webhook, ?session_id, "the vendor's energy is not what its meter says");
                }
                Taken::Taken { session_id, no_session, .. } => {
                    info!(%vendor, webhook, ?session_id, no_session, "report taken");
                }
                Taken::Repeated => info!(%vendor, webhook, "report was taken already"),
            }
            Ok(taken)
        }
        Outcome::Refused { refusal } => Err(match refusal {
            Refusal::UnknownVendor => Failure::conflict("UNKNOWN_VENDOR", "there is no such vendor"),
            Refusal::UnknownConnector => {
                Failure::conflict("UNKNOWN_CONNECTOR", "the vendor has no such connector at that station")
            }
            Refusal::StartedOtherwise => {
                Failure::conflict("STARTED_OTHERWISE", "the session's start was told differently before")
            }
            Refusal::EndedOtherwise => {
                Failure::conflict("ENDED_OTHERWISE", "the session's end was told differently before")
            }
            Refusal::SettledWithoutEnd => Failure::conflict(
                "SETTLED_WITHOUT_END",
                "the session was settled with other energy before its end was told: until it is billed, \
                 updateSession corrects it and this can be replayed; after that, all there is, is to refund its invoice",
            ),
        }),
    }
}

/// As the database function takes them.
fn fields(told: &Told) -> Result<Value, Failure> {
    let mut fields = serde_json::to_value(told).map_err(Failure::fault)?;
    if let Told::ConnectorStatus(report) = told {
        fields["status"] = report.status.ours().into();
    }
    Ok(fields)
}
