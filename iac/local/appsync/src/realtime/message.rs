//! The frames of the protocol, each way.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::GraphqlError;
use crate::execute::Executed;

/// What a client sends.
#[derive(Debug, Deserialize)]
pub(super) struct ClientMessage {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) payload: Value,
}

/// The payload of `start`.
#[derive(Debug, Deserialize)]
pub(super) struct Start {
    /// A GraphQL request as JSON text inside JSON.
    pub(super) data: String,
    #[serde(default)]
    pub(super) extensions: Extensions,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Extensions {
    #[serde(default)]
    pub(super) authorization: Map<String, Value>,
}

/// Why the connection cannot be used.
#[derive(Debug, Clone, Copy)]
pub(super) enum ConnectionFault {
    /// The credentials could not be read.
    BadRequest,
    /// They could, and are not accepted.
    Unauthorized,
}

pub(super) fn acknowledgement(timeout: Duration) -> String {
    let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    json!({"type": "connection_ack", "payload": {"connectionTimeoutMs": timeout}}).to_string()
}

pub(super) fn keep_alive() -> String {
    json!({"type": "ka"}).to_string()
}

pub(super) fn connection_error(fault: ConnectionFault) -> String {
    let (kind, message, code) = match fault {
        ConnectionFault::BadRequest => {
            ("BadRequestException", "The authorization header could not be read.", 400)
        }
        ConnectionFault::Unauthorized => {
            ("UnauthorizedException", "You are not authorized to make this call.", 401)
        }
    };
    let error = json!({"errorType": kind, "message": message, "errorCode": code});
    json!({"type": "connection_error", "payload": {"errors": [error]}}).to_string()
}

pub(super) fn started(id: &str) -> String {
    json!({"type": "start_ack", "id": id}).to_string()
}

pub(super) fn complete(id: &str) -> String {
    json!({"type": "complete", "id": id}).to_string()
}

/// An error of one subscription, or of the connection where nobody can say which.
pub(super) fn error(id: Option<&str>, kind: &str, message: &str) -> String {
    errors(id, &[json!({"errorType": kind, "message": message})])
}

pub(super) fn unsupported(id: Option<&str>) -> String {
    error(id, "UnsupportedOperation", "unknown not supported through the realtime channel")
}

pub(super) fn refused(id: &str, refusals: &[GraphqlError]) -> String {
    let refusals: Vec<Value> = refusals
        .iter()
        .map(|refusal| match refusal {
            GraphqlError::Field(field) => json!({
                "errorType": field.failure.error_type,
                "message": field.failure.message,
                "errorInfo": field.failure.info,
                "data": field.failure.data,
            }),
            GraphqlError::Request { error_type, message } => {
                json!({"errorType": error_type, "message": message})
            }
            other => json!({"message": other.message()}),
        })
        .collect();
    errors(Some(id), &refusals)
}

fn errors(id: Option<&str>, errors: &[Value]) -> String {
    let mut frame = json!({"type": "error", "payload": {"errors": errors}});
    if let Some(id) = id {
        frame["id"] = id.into();
    }
    frame.to_string()
}

/// What a mutation brought.
pub(super) fn data(id: &str, executed: &Executed) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        id: &'a str,
        payload: Payload<'a>,
    }
    #[derive(Serialize)]
    struct Payload<'a> {
        data: &'a Option<crate::execute::Object>,
        #[serde(skip_serializing_if = "<[GraphqlError]>::is_empty")]
        errors: &'a [GraphqlError],
    }
    let payload = Payload { data: &executed.data, errors: &executed.errors };
    serde_json::to_string(&Frame { kind: "data", id, payload }).unwrap_or_default()
}
