//! Sends invocations to another Invoke endpoint instead of our own processes: `cargo lambda watch` (which
//! knows a function by its binary) or `sam local start-lambda` (by its name or logical id).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, StatusCode, Url};
use tracing::info;

use crate::function::Function;
use crate::invoke::{InvokeError, Outcome};
use crate::options::Forward;
use crate::outcome;

/// On top of the function's own timeout: the endpoint may first have to compile it, and one that loses a
/// crashed function's invocation never answers.
const COMPILING: Duration = Duration::from_secs(10 * 60);

pub(crate) struct Forwarder {
    client: Client,
    endpoint: Url,
    only: Vec<String>,
    /// What the endpoint calls each function, once it has recognised it. By our name for it.
    known_as: HashMap<String, OnceLock<String>>,
    /// Functions that were once not there.
    absent: Mutex<HashSet<String>>,
}

impl Forwarder {
    pub(crate) fn new<'a>(
        Forward { endpoint, only }: Forward,
        functions: impl Iterator<Item = &'a Function>,
    ) -> Self {
        let known_as = functions.map(|function| (function.name.clone(), OnceLock::new())).collect();
        Self { client: Client::new(), endpoint, only, known_as, absent: Mutex::default() }
    }

    /// The endpoint's answer; none for a function that is not meant to go there, where nobody listens, or where
    /// nobody knows the function.
    pub(crate) async fn invoke(
        &self,
        function: &Function,
        payload: Bytes,
    ) -> Option<Result<Outcome, InvokeError>> {
        let known_as = self.known_as.get(&function.name);
        let known = known_as.and_then(OnceLock::get);
        let binary = function.binary.file_name().map(|name| name.to_string_lossy().into_owned());
        let is_meant = |name: &String| *name == function.logical_id || Some(name) == binary.as_ref();
        if !self.only.is_empty() && !self.only.iter().any(is_meant) {
            return None;
        }
        let candidates = match known {
            Some(name) => vec![name.clone()],
            None => binary.into_iter().chain([function.name.clone(), function.logical_id.clone()]).collect(),
        };
        for name in candidates {
            if let Some(answer) = self.post(function, &name, payload.clone()).await {
                if let Some(known_as) = known_as {
                    known_as.get_or_init(|| name);
                }
                return Some(answer);
            }
        }
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        if absent.insert(function.name.clone()) {
            info!("{} does not run {}: the built binary does", self.endpoint, function.logical_id);
        }
        None
    }

    async fn post(
        &self,
        function: &Function,
        name: &str,
        payload: Bytes,
    ) -> Option<Result<Outcome, InvokeError>> {
        let mut url = self.endpoint.clone();
        url.set_path(&format!("/2015-03-31/functions/{name}/invocations"));
        let failed = |error: reqwest::Error| {
            InvokeError::Host(format!("{} cannot invoke {name}: {error}", self.endpoint))
        };
        let call = self
            .client
            .post(url)
            .timeout(function.timeout + COMPILING)
            .header("content-type", "application/json")
            .body(payload);
        let response = match call.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return None,
            Err(error) => return Some(Err(failed(error))),
        };
        let status = response.status();
        let function_error = response
            .headers()
            .get("x-amz-function-error")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let payload = match response.bytes().await {
            Ok(payload) => payload,
            Err(error) => return Some(Err(failed(error))),
        };
        Some(match status {
            status if status.is_success() => Ok(Outcome { payload, function_error }),
            StatusCode::NOT_FOUND => return None,
            StatusCode::TOO_MANY_REQUESTS => Err(InvokeError::Throttled(function.name.clone())),
            StatusCode::PAYLOAD_TOO_LARGE => Err(InvokeError::TooLarge),
            // `cargo lambda watch` gives a function's error document a 500 and no header.
            _ if is_error_document(&payload) => Ok(outcome::failed(payload)),
            _ => {
                let text = String::from_utf8_lossy(&payload);
                Err(InvokeError::Host(format!("{} answered {name} with {status}: {text}", self.endpoint)))
            }
        })
    }
}

fn is_error_document(payload: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(payload)
        .is_ok_and(|document| document["errorType"].is_string())
}
