//! Calls a function and tells its failures apart as AppSync does.

use lambda_host::InvokeError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Executor;

/// A failed invocation: `ctx.error` of a resolver with code, the field's error of one without.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fault {
    pub(super) message: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

impl Fault {
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorDocument {
    error_message: Option<String>,
}

/// Invokes `function` with `payload` and waits for its JSON.
pub(super) async fn invoke(
    executor: &Executor,
    function: &str,
    payload: &impl Serialize,
) -> Result<Box<RawValue>, Fault> {
    let payload = serde_json::to_vec(payload)
        .map_err(|error| Fault::new("Lambda:IllegalArgument", error.to_string()))?;
    let outcome = tokio::time::timeout(executor.timeout, executor.invoke.invoke(function, payload.into()))
        .await
        .map_err(|_| Fault::new("Lambda:ExecutionTimeoutException", "Execution timed out."))?
        .map_err(|error| match error {
            InvokeError::UnknownFunction(_) => {
                Fault::new("Lambda:ResourceNotFoundException", error.to_string())
            }
            InvokeError::Throttled(_) => Fault::new("Lambda:TooManyRequestsException", "Rate Exceeded."),
            InvokeError::TooLarge => Fault::new("Lambda:RequestTooLargeException", error.to_string()),
            InvokeError::Host(_) => Fault::new("Lambda:ServiceException", error.to_string()),
        })?;
    if outcome.function_error.is_some() {
        let document = serde_json::from_slice::<ErrorDocument>(&outcome.payload).ok();
        let message = document
            .and_then(|document| document.error_message)
            .unwrap_or_else(|| String::from_utf8_lossy(&outcome.payload).into_owned());
        return Err(Fault::new("Lambda:Unhandled", message));
    }
    parse(&outcome.payload)
}

/// Hands `payload` over without waiting: `invocationType: Event`.
pub(super) async fn send(
    executor: &Executor,
    function: &str,
    payload: &RawValue,
) -> Result<Box<RawValue>, Fault> {
    executor
        .invoke
        .invoke_event(function, payload.get().to_owned().into())
        .await
        .map_err(|error| Fault::new("Lambda:ServiceException", error.to_string()))?;
    Ok(RawValue::NULL.to_owned())
}

fn parse(payload: &[u8]) -> Result<Box<RawValue>, Fault> {
    if payload.is_empty() {
        return Ok(RawValue::NULL.to_owned());
    }
    serde_json::from_slice(payload)
        .map_err(|_| Fault::new("Lambda:Unhandled", "The function's answer is not JSON."))
}
