//! Sends invocations to another Invoke endpoint instead of our own processes: `cargo lambda watch` (which
//! knows a function by its binary) or `sam local start-lambda` (by its name or logical id).

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, StatusCode, Url};

use crate::function::Function;
use crate::invoke::{InvokeError, Outcome};
use crate::outcome;

/// On top of the function's own timeout: the endpoint may first have to compile it, and one that loses a
/// crashed function's invocation never answers.
const COMPILING: Duration = Duration::from_secs(10 * 60);

pub(crate) struct Forwarder {
    client: Client,
    endpoint: Url,
    /// What the endpoint calls each function, once it has recognised it. By our name for it.
    known_as: HashMap<String, OnceLock<String>>,
}

impl Forwarder {
    pub(crate) fn new<'a>(endpoint: Url, functions: impl Iterator<Item = &'a Function>) -> Self {
        let known_as = functions.map(|function| (function.name.clone(), OnceLock::new())).collect();
        Self { client: Client::new(), endpoint, known_as }
    }

    pub(crate) async fn invoke(&self, function: &Function, payload: Bytes) -> Result<Outcome, InvokeError> {
        let known_as = self.known_as.get(&function.name);
        if let Some(name) = known_as.and_then(OnceLock::get) {
            return self.post(function, name, payload).await;
        }
        let binary = function.binary.file_name().map(|name| name.to_string_lossy().into_owned());
        let candidates = binary.into_iter().chain([function.name.clone(), function.logical_id.clone()]);
        let mut answer = Err(InvokeError::UnknownFunction(function.name.clone()));
        for name in candidates {
            answer = self.post(function, &name, payload.clone()).await;
            if !matches!(answer, Err(InvokeError::UnknownFunction(_))) {
                if let Some(known_as) = known_as {
                    known_as.get_or_init(|| name);
                }
                break;
            }
        }
        answer
    }

    async fn post(&self, function: &Function, name: &str, payload: Bytes) -> Result<Outcome, InvokeError> {
        let mut url = self.endpoint.clone();
        url.set_path(&format!("/2015-03-31/functions/{name}/invocations"));
        let failed = |error: reqwest::Error| {
            InvokeError::Host(format!("{} cannot invoke {name}: {error}", self.endpoint))
        };
        let response = self
            .client
            .post(url)
            .timeout(function.timeout + COMPILING)
            .header("content-type", "application/json")
            .body(payload)
            .send()
            .await
            .map_err(failed)?;
        let status = response.status();
        let function_error = response
            .headers()
            .get("x-amz-function-error")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let payload = response.bytes().await.map_err(failed)?;
        match status {
            status if status.is_success() => Ok(Outcome { payload, function_error }),
            StatusCode::NOT_FOUND => Err(InvokeError::UnknownFunction(function.name.clone())),
            StatusCode::TOO_MANY_REQUESTS => Err(InvokeError::Throttled(function.name.clone())),
            StatusCode::PAYLOAD_TOO_LARGE => Err(InvokeError::TooLarge),
            // `cargo lambda watch` gives a function's error document a 500 and no header.
            _ if is_error_document(&payload) => Ok(outcome::failed(payload)),
            _ => {
                let text = String::from_utf8_lossy(&payload);
                Err(InvokeError::Host(format!("{} answered {name} with {status}: {text}", self.endpoint)))
            }
        }
    }
}

fn is_error_document(payload: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(payload)
        .is_ok_and(|document| document["errorType"].is_string())
}
