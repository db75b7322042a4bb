//! OCPP-J frames: read with the error code each protocol prescribes for each defect, and written.

use std::borrow::Cow;

use ocpp_kit::rpc::{CallError, ErrorCode, Frame, FrameError};
use ocpp_kit::types::MESSAGE_ID_MAX_LEN;
use serde::Serialize;
use serde_json::value::RawValue;
use shared::Failure;

use crate::Protocol;

/// What a charger sent.
pub(crate) enum Inbound<'a> {
    /// A call of its own.
    Call {
        /// To be answered with.
        id: String,
        /// Not yet known to be one.
        action: String,
        /// Not parsed yet.
        payload: Cow<'a, RawValue>,
    },
    /// The answer to a call of ours.
    Result {
        /// Of the call.
        id: String,
        /// Not parsed yet.
        payload: Cow<'a, RawValue>,
    },
    /// The refusal of a call of ours.
    Error {
        /// Of the call.
        id: String,
        /// The code, as written.
        code: String,
    },
    /// No frame, to be answered with this one.
    Defective(String),
    /// No frame, and the protocol says to keep silent.
    Ignored(FrameError),
}

/// Reads one text frame.
pub(crate) fn read(text: &str, protocol: Protocol) -> Result<Inbound<'_>, Failure> {
    let id_of = |frame: &Frame<'_>| frame.id().as_str().to_owned();
    Ok(match Frame::parse(text, protocol.version()) {
        Ok(frame) if frame.action().is_some() && !frame.id().is_conforming() => {
            let description = format!("the message id is longer than {MESSAGE_ID_MAX_LEN} characters");
            Inbound::Defective(error(
                frame.id().as_str(),
                CallError::new(defect(protocol), description),
                protocol,
            )?)
        }
        Ok(frame) => {
            let id = id_of(&frame);
            match frame {
                Frame::Call { action, payload, .. } | Frame::Send { action, payload, .. } => {
                    Inbound::Call { id, action: action.into_owned(), payload }
                }
                Frame::CallResult { payload, .. } => Inbound::Result { id, payload },
                Frame::CallError { error, .. } | Frame::CallResultError { error, .. } => {
                    Inbound::Error { id, code: error.code.to_string() }
                }
            }
        }
        Err(broken) => defective(text, broken, protocol)?,
    })
}

/// OCPP 1.6 ignores what it cannot tell to be a call, and has no code for a broken frame but the one for a broken
/// payload; 2.0.1 answers anything, under the id "-1" if there is none to read.
fn defective(text: &str, broken: FrameError, protocol: Protocol) -> Result<Inbound<'static>, Failure> {
    let id = read_id(text);
    let is_unknown_type =
        matches!(broken, FrameError::UnknownMessageType { .. } | FrameError::MessageTypeNotInVersion { .. });
    let code = match (protocol, id.is_some()) {
        _ if broken.is_ignorable(protocol.version()) || is_an_answer(&broken) => {
            return Ok(Inbound::Ignored(broken));
        }
        (Protocol::Ocpp16, false) => return Ok(Inbound::Ignored(broken)),
        (Protocol::Ocpp201, _) if is_unknown_type => ErrorCode::MessageTypeNotSupported,
        _ => defect(protocol),
    };
    let id = id.unwrap_or_else(|| "-1".to_owned());
    Ok(Inbound::Defective(error(&id, CallError::new(code, broken.to_string()), protocol)?))
}

fn defect(protocol: Protocol) -> ErrorCode {
    match protocol {
        Protocol::Ocpp16 => ErrorCode::FormatViolation,
        Protocol::Ocpp201 => ErrorCode::RpcFrameworkError,
    }
}

/// An answer is never answered, however broken.
fn is_an_answer(broken: &FrameError) -> bool {
    use ocpp_kit::rpc::MessageTypeId::{CallError, CallResult};
    matches!(broken, FrameError::UnreadableErrorCode { .. })
        || (matches!(broken.message_type(), Some(CallResult | CallError)))
}

/// The id of a frame that is an array at least.
fn read_id(text: &str) -> Option<String> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let id: String = serde_json::from_str(elements.get(1)?.get()).ok()?;
    (1..=MESSAGE_ID_MAX_LEN).contains(&id.chars().count()).then_some(id)
}

/// `[2, id, action, payload]`
pub(crate) fn call(id: &str, action: &str, payload: &str) -> Result<String, Failure> {
    write(&(2, id, action, raw(payload)?))
}

/// `[3, id, payload]`
pub(crate) fn result(id: &str, payload: &str) -> Result<String, Failure> {
    write(&(3, id, raw(payload)?))
}

/// `[4, id, code, description, {}]`, the code in the protocol's spelling. Where and why is in the description alone:
/// firmware has been seen to choke on details.
pub(crate) fn error(id: &str, error: CallError, protocol: Protocol) -> Result<String, Failure> {
    // A second construction cuts the description to what the protocol allows.
    let error = CallError::new(error.code, error.description);
    write(&(4, id, error.code.as_wire(protocol.version()), error.description, serde_json::Map::new()))
}

fn raw(payload: &str) -> Result<&RawValue, Failure> {
    serde_json::from_str(payload).map_err(Failure::fault)
}

fn write(frame: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(frame).map_err(Failure::fault)
}
