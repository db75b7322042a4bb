//! The protocol table: for each version, which actions we serve and by what. Payloads are checked here, once, against
//! the version's schema; handlers see types.

mod shape;
mod v16;
mod v201;

use std::future::Future;
use std::pin::Pin;

use ocpp_kit::Version;
use ocpp_kit::decode::{DateTimeLeniency, DecodeOptions, decode_payload};
use ocpp_kit::message::Request;
use ocpp_kit::rpc::{CallError, ErrorCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::{ChargerId, CorrelationId, Failure, Timestamp};
use tracing::{error, warn};

use crate::{Commanded, Records, Reservation};

/// API Gateway takes no larger message.
const LARGEST_PAYLOAD: usize = 128 * 1024;
/// Seconds between heartbeats: below API Gateway's idle limit of ten minutes.
const HEARTBEAT_INTERVAL: i32 = 540;
/// Seconds until a charger that is not accepted may boot again.
const BOOT_INTERVAL: i32 = 300;

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// OCPP 1.6J with the security extensions.
    #[serde(rename = "ocpp1.6")]
    Ocpp16,
    /// OCPP 2.0.1.
    #[serde(rename = "ocpp2.0.1")]
    Ocpp201,
}

impl Protocol {
    /// Those we speak, best first.
    const ALL: [Self; 2] = [Self::Ocpp201, Self::Ocpp16];

    /// Its WebSocket subprotocol.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Ocpp16 => "ocpp1.6",
            Self::Ocpp201 => "ocpp2.0.1",
        }
    }

    /// The best of those offered in a `Sec-WebSocket-Protocol` header.
    pub fn choose(offered: &str) -> Option<Self> {
        let is_offered = |it: &Self| offered.split(',').any(|token| token.trim() == it.subprotocol());
        Self::ALL.into_iter().find(is_offered)
    }

    pub(crate) fn version(self) -> Version {
        match self {
            Self::Ocpp16 => Version::V1_6,
            Self::Ocpp201 => Version::V2_0_1,
        }
    }
}

/// A call being served: who sent it, when, and what its handler may touch.
pub(crate) struct Message<'a> {
    pub(crate) records: &'a dyn Records,
    pub(crate) charger: ChargerId,
    pub(crate) received_at: Timestamp,
    pub(crate) correlation_id: CorrelationId,
}

/// The answer's payload as JSON text, or the error to answer with.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<String, CallError>> + 'a>>;

/// Serves one action.
pub(crate) type Handler = for<'a> fn(&'a Message<'a>, &'a RawValue) -> Answer<'a>;

/// One line of the table: an action and what serves it.
type Entry = (&'static str, Handler);

/// What serves `action`, or the error that says whether the protocol knows it at all.
pub(crate) fn handler(protocol: Protocol, action: &str) -> Result<Handler, CallError> {
    let (table, is_defined) = match protocol {
        Protocol::Ocpp16 => (v16::ACTIONS, ocpp_kit::v1_6::Action::from_wire(action).is_some()),
        Protocol::Ocpp201 => (v201::ACTIONS, ocpp_kit::v2_0_1::Action::from_wire(action).is_some()),
    };
    let found = table.iter().find(|(name, _)| *name == action);
    found.map(|(_, handler)| *handler).ok_or_else(|| {
        if is_defined { CallError::not_supported(action) } else { CallError::not_implemented(action) }
    })
}

/// What a charger says to what we ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RemoteAnswer {
    /// It will.
    Accepted,
    /// It will not: the status that it answers with, or the error's code.
    Refused(String),
    /// Nothing that can be understood.
    Unreadable,
}

/// What is asked of a charger.
pub(crate) struct Remote {
    pub(crate) action: &'static str,
    /// JSON text.
    pub(crate) payload: String,
}

impl Remote {
    fn of<Q: Request>(action: &'static str, request: &Q) -> Result<Self, Failure> {
        Ok(Self { action, payload: serde_json::to_string(request).map_err(Failure::fault)? })
    }
}

/// Asks for a session to begin.
pub(crate) fn remote_start(protocol: Protocol, wanted: &Commanded) -> Result<Remote, Failure> {
    match protocol {
        Protocol::Ocpp16 => v16::remote_start(wanted),
        Protocol::Ocpp201 => v201::remote_start(wanted),
    }
}

/// Asks for a transaction to end.
pub(crate) fn remote_stop(protocol: Protocol, transaction: &str) -> Result<Remote, Failure> {
    match protocol {
        Protocol::Ocpp16 => v16::remote_stop(transaction),
        Protocol::Ocpp201 => v201::remote_stop(transaction),
    }
}

/// Asks for a connector to be kept for a driver until a booking's end.
pub(crate) fn reserve(protocol: Protocol, reservation: &Reservation) -> Result<Remote, Failure> {
    match protocol {
        Protocol::Ocpp16 => v16::reserve(reservation),
        Protocol::Ocpp201 => v201::reserve(reservation),
    }
}

/// Asks for a reservation to be given up.
pub(crate) fn release(protocol: Protocol, reservation_id: i32) -> Result<Remote, Failure> {
    match protocol {
        Protocol::Ocpp16 => v16::release(reservation_id),
        Protocol::Ocpp201 => v201::release(reservation_id),
    }
}

/// What the payload of a CALLRESULT says to what we asked.
pub(crate) fn remote_answer(protocol: Protocol, action: &str, payload: &RawValue) -> RemoteAnswer {
    let status = match protocol {
        Protocol::Ocpp16 => v16::status(action, payload),
        Protocol::Ocpp201 => v201::status(action, payload),
    };
    match status {
        Ok(status) if status == "Accepted" => RemoteAnswer::Accepted,
        Ok(status) => RemoteAnswer::Refused(status),
        Err(defect) => {
            warn!(action, %defect, "an answer that cannot be read");
            RemoteAnswer::Unreadable
        }
    }
}

/// The letter of the schemas, unknown members included, but for one thing: a moment without an offset, which much
/// firmware sends, is read as UTC rather than lost with the transaction it belongs to.
fn options() -> DecodeOptions {
    let mut options = DecodeOptions::pedantic().with_max_payload_size(LARGEST_PAYLOAD);
    options.datetime = DateTimeLeniency::AllowNaive;
    options
}

/// Makes a handler out of a function from a request to its response.
fn answering<'a, Q, H>(message: &'a Message<'a>, payload: &'a RawValue, handle: H) -> Answer<'a>
where
    Q: Request + 'a,
    H: AsyncFnOnce(&'a Message<'a>, Q) -> Result<Q::Response, Failure> + 'a,
{
    Box::pin(async move {
        if holds_nul(payload.get()) {
            return Err(CallError::new(
                ErrorCode::PropertyConstraintViolation,
                "a string holds a NUL character",
            ));
        }
        let request: Q = decode_payload(payload, &options())?;
        if !shape::is_kept(payload, &request) {
            return Err(CallError::new(
                ErrorCode::TypeConstraintViolation,
                "a list in the place of an object",
            ));
        }
        let response = handle(message, request).await.map_err(|failure| {
            error!(cause = failure.causes(), "not served");
            CallError::internal("not taken in: send it again later")
        })?;
        serde_json::to_string(&response).map_err(|defect| {
            error!(%defect, "an answer that cannot be written");
            CallError::new(ErrorCode::InternalError, "")
        })
    })
}

/// Whether a string of this JSON has the character that no text in PostgreSQL can have. JSON has it as an escape only.
fn holds_nul(json: &str) -> bool {
    let mut rest = json;
    while let Some((_, escape)) = rest.split_once('\\') {
        if escape.starts_with("u0000") {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

/// Serves a notification that calls for nothing but an empty answer.
async fn acknowledge<Q: Request>(message: &Message<'_>, _: Q) -> Result<Q::Response, Failure> {
    message.records.seen(message.charger, message.received_at).await?;
    serde_json::from_str("{}").map_err(Failure::fault)
}
