//! How a door calls a function, and what it may hear back. Says nothing of how the function is run.

use async_trait::async_trait;
use bytes::Bytes;

/// What came back from one synchronous invocation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The function's answer, or its error document (`errorType`, `errorMessage`) when `function_error` is set.
    pub payload: Bytes,
    /// `Unhandled` when the function failed, timed out or exited: the `X-Amz-Function-Error` header.
    pub function_error: Option<String>,
}

/// Why an invocation never reached a function.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InvokeError {
    /// No function has that name or ARN.
    #[error("no function {0}")]
    UnknownFunction(String),
    /// Every permitted process is busy (`TooManyRequestsException`).
    #[error("{0} is at its concurrency limit")]
    Throttled(String),
    /// The payload is over 6 MB (1 MB for an event).
    #[error("the payload is larger than Lambda accepts (6 MB, an event 1 MB)")]
    TooLarge,
    /// The host, or the Invoke endpoint it forwards to, failed.
    #[error("{0}")]
    Host(String),
}

/// How a door calls a function.
#[async_trait]
pub trait Invoke: Send + Sync + 'static {
    /// Invokes `function` (its name or ARN) and waits for the answer.
    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Outcome, InvokeError>;

    /// Hands `payload` over and returns at once; retried twice on failure, as Lambda does
    /// (`InvocationType: Event`).
    async fn invoke_event(&self, function: &str, payload: Bytes) -> Result<(), InvokeError>;
}
