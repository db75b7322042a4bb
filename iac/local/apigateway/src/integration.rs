//! A Lambda proxy integration: which function, and how long it may take.

use std::time::Duration;

use bytes::Bytes;
use lambda_host::Invoke;
use serde_json::Value;

/// A function behind a route.
#[derive(Debug, Clone)]
pub(crate) struct Integration {
    /// Its name or ARN.
    pub(crate) function: String,
    pub(crate) timeout: Duration,
}

/// Why a function gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    TimedOut,
    Failed,
}

impl Integration {
    /// Invokes the function with `event` and waits for what it returns.
    pub(crate) async fn call(&self, invoke: &dyn Invoke, event: &Value) -> Result<Bytes, NoAnswer> {
        let answer = invoke.invoke(&self.function, Bytes::from(event.to_string()));
        match tokio::time::timeout(self.timeout, answer).await {
            Err(_) => {
                tracing::warn!(function = self.function, "the integration timed out");
                Err(NoAnswer::TimedOut)
            }
            Ok(Err(error)) => {
                tracing::warn!(function = self.function, %error, "the integration failed");
                Err(NoAnswer::Failed)
            }
            // The function's own error is in its log.
            Ok(Ok(outcome)) if outcome.function_error.is_some() => Err(NoAnswer::Failed),
            Ok(Ok(outcome)) => Ok(outcome.payload),
        }
    }
}

/// The function's ARN in `arn:…:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations`.
pub(crate) fn function_arn(uri: &str) -> Option<&str> {
    let (_, path) = uri.split_once(":lambda:path/2015-03-31/functions/")?;
    path.strip_suffix("/invocations").filter(|arn| !arn.is_empty())
}
