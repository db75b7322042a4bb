//! The error documents Lambda itself writes for a function that could not write its own.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

use crate::invoke::Outcome;

/// Lambda's limit on a synchronous request, in bytes.
pub(crate) const MAX_REQUEST: usize = 6 * 1024 * 1024;
/// Lambda's limit on an asynchronous request, in bytes.
pub(crate) const MAX_EVENT: usize = 1024 * 1024;
/// Lambda's limit on an answer, in bytes.
pub(crate) const MAX_RESPONSE: usize = 6_291_556;

pub(crate) fn succeeded(payload: Bytes) -> Outcome {
    Outcome { payload, function_error: None }
}

/// A failure the function reported itself, its document as it wrote it.
pub(crate) fn failed(payload: Bytes) -> Outcome {
    Outcome { payload, function_error: Some("Unhandled".to_owned()) }
}

pub(crate) fn timed_out(request_id: Uuid, limit: Duration) -> Outcome {
    let message = format!("Error: Task timed out after {:.2} seconds", limit.as_secs_f64());
    document("Sandbox.Timedout", request_id, &message)
}

pub(crate) fn init_timed_out(request_id: Uuid, limit: Duration, binary: &Path) -> Outcome {
    let seconds = limit.as_secs_f64();
    let message = format!(
        "Error: {} did not ask for its first invocation within {seconds:.2} seconds",
        binary.display()
    );
    document("Sandbox.Timedout", request_id, &message)
}

pub(crate) fn exited(request_id: Uuid, status: ExitStatus, binary: Option<&Path>) -> Outcome {
    let how = match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
        (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, Some(signal)) => format!("Runtime exited with error: signal {signal}"),
        (None, None) => "Runtime exited".to_owned(),
    };
    let place = binary.map(|binary| format!(" (starting {})", binary.display())).unwrap_or_default();
    document("Runtime.ExitError", request_id, &format!("Error: {how}{place}"))
}

pub(crate) fn response_too_large(request_id: Uuid) -> Outcome {
    let message =
        format!("Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes).");
    document("Function.ResponseSizeTooLarge", request_id, &message)
}

fn document(kind: &str, request_id: Uuid, message: &str) -> Outcome {
    let body = json!({"errorType": kind, "errorMessage": format!("RequestId: {request_id} {message}")});
    failed(Bytes::from(body.to_string()))
}
