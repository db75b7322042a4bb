//! Events: invocations nobody waits for. Retried as Lambda does, then given up to a destination.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{error, warn};
use uuid::Uuid;

use crate::function::Function;
use crate::host::Backend;
use crate::invoke::{InvokeError, Outcome};
use crate::options::Options;

/// Between two tries of a throttled event; Lambda goes on for the event's whole age.
const THROTTLED_WAIT: Duration = Duration::from_millis(500);

/// Where the template sends an event that failed every attempt.
#[derive(Debug, Clone)]
pub enum Destination {
    /// `EventInvokeConfig.DestinationConfig.OnFailure`, an ARN: takes [`FailedEvent::record`].
    OnFailure(String),
    /// `DeadLetterQueue.TargetArn`: takes the payload itself.
    DeadLetter(String),
}

/// An event that was given up.
#[derive(Debug, Clone)]
pub struct FailedEvent {
    /// The function's ARN.
    pub function_arn: String,
    /// The id of the event.
    pub request_id: Uuid,
    /// What the function was given.
    pub payload: Bytes,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt came to.
    pub last: Result<Outcome, InvokeError>,
    /// Where the template sends it, if anywhere.
    pub destination: Option<Destination>,
}

impl FailedEvent {
    /// The last error, for people.
    pub fn reason(&self) -> String {
        match &self.last {
            Ok(outcome) => String::from_utf8_lossy(&outcome.payload).into_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// The record Lambda sends to an on-failure destination.
    pub fn record(&self) -> Value {
        let (function_error, response) = match &self.last {
            Ok(outcome) => (outcome.function_error.clone(), parsed(&outcome.payload)),
            Err(error) => (None, json!({"errorMessage": error.to_string()})),
        };
        json!({
            "version": "1.0",
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": format!("{}:$LATEST", self.function_arn),
                "condition": "RetriesExhausted",
                "approximateInvokeCount": self.attempts,
            },
            "requestPayload": parsed(&self.payload),
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": function_error,
            },
            "responsePayload": response,
        })
    }
}

fn parsed(payload: &[u8]) -> Value {
    serde_json::from_slice(payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(payload).into_owned()))
}

/// Tries until an attempt succeeds, the retries are used up or the event is too old.
pub(crate) async fn deliver(
    backend: Arc<Backend>,
    function: Function,
    payload: Bytes,
    options: Arc<Options>,
) {
    let accepted = Instant::now();
    let mut attempts = 0;
    let last = loop {
        let outcome = backend.invoke(&function.name, payload.clone()).await;
        let wait = match &outcome {
            Ok(outcome) if outcome.function_error.is_none() => return,
            Err(InvokeError::Throttled(_)) => THROTTLED_WAIT,
            _ => {
                attempts += 1;
                let later = usize::from(attempts > 1);
                options.retry_delays[later]
            }
        };
        if attempts > function.retries || accepted.elapsed() + wait > function.max_age {
            break outcome;
        }
        warn!(function = function.name, attempts, "an event failed and will be tried again");
        tokio::time::sleep(wait).await;
    };
    let failed = FailedEvent {
        function_arn: function.arn,
        request_id: Uuid::new_v4(),
        payload,
        attempts,
        last,
        destination: function.destination,
    };
    error!(function = function.name, attempts, reason = failed.reason(), "an event is given up");
    (options.on_failure)(failed);
}
