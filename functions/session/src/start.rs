//! `startSession`: what a driver may ask for, and how each refusal reads.

use serde::{Deserialize, Serialize};
use shared::{Caller, ConnectorId, Failure, SessionId, StationId};

use crate::store::Refusal;
use crate::{Session, Stores};

/// The arguments of `Mutation.startSession`.
#[derive(Debug, Deserialize)]
pub struct StartRequest {
    /// Its only argument.
    pub input: StartInput,
}

/// The GraphQL `StartSessionInput`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartInput {
    /// Where to charge.
    pub station_id: StationId,
    /// At which connector; the first free one unless told.
    pub connector_id: Option<ConnectorId>,
    /// Makes repeats harmless. No part of what is compared between them.
    #[serde(skip_serializing)]
    pub idempotency_key: Option<IdempotencyKey>,
}

/// An app's own name for one request: 1 to 64 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        fits.then_some(Self(text)).ok_or("must be 1 to 64 printable ASCII characters")
    }
}

/// Takes a connector for the caller and has its charger asked to begin; the answer is `STARTING`, the rest is heard
/// by subscription.
pub async fn start(stores: &Stores, caller: Caller, request: StartRequest) -> Result<Session, Failure> {
    let driver = caller.user()?.id;
    let started =
        stores.start(SessionId::new(), driver, &request.input, caller.correlation_id, caller.at).await?;
    started.map_err(Failure::from)
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoUser => Self::Unauthenticated("the account no longer exists"),
            Refusal::NoStation => Self::NotFound("station"),
            Refusal::NoConnector => Self::NotFound("connector at this station"),
            Refusal::StationNotControlled => {
                Self::conflict("STATION_NOT_CONTROLLED", "this station cannot be started from the app")
            }
            Refusal::ConnectorBusy => Self::conflict("CONNECTOR_BUSY", "somebody else is charging here"),
            Refusal::ConnectorReserved => {
                Self::conflict("CONNECTOR_RESERVED", "somebody else has booked this connector")
            }
            Refusal::ConnectorUnavailable => {
                Self::conflict("CONNECTOR_UNAVAILABLE", "the connector is out of order")
            }
            Refusal::ChargerOffline => {
                Self::conflict("CHARGER_OFFLINE", "the charger is not connected at the moment")
            }
            Refusal::TooManySessions => {
                Self::conflict("TOO_MANY_SESSIONS", "end one of your three open sessions first")
            }
            Refusal::IdempotencyKeyReused => {
                Self::conflict("IDEMPOTENCY_KEY_REUSED", "this key belongs to a different request")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn input(key: &serde_json::Value) -> Result<StartInput, serde_json::Error> {
        let station = "0198c0de-0000-7000-8000-000000000003";
        serde_json::from_value(json!({"stationId": station, "idempotencyKey": key}))
    }

    #[test]
    fn a_key_is_bounded_and_printable() {
        assert!(input(&json!("order-1")).is_ok());
        assert!(input(&json!(null)).unwrap().idempotency_key.is_none());
        for key in [String::new(), "x".repeat(65), "a\u{0}b".into(), "schlüssel".into()] {
            assert!(input(&json!(key)).is_err(), "{key:?}");
        }
    }

    #[test]
    fn a_repeat_is_compared_by_what_is_asked_for_and_not_by_its_key() {
        let asked = |key| serde_json::to_value(input(&json!(key)).unwrap()).unwrap();
        assert_eq!(asked("a"), asked("b"));
        assert_eq!(asked("a").get("idempotencyKey"), None);
    }
}
