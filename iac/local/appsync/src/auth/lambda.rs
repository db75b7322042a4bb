//! The Lambda authorizer: asked once a token, its answer kept for the time it allows.
//! <https://docs.aws.amazon.com/appsync/latest/devguide/security-authz.html#aws-lambda-authorization>

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use lambda_host::Invoke;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{Attempt, AuthMode, Caller, Headers};
use crate::definition::Authorizer;
use crate::error::Refusal;

/// A flood of invented tokens must not become a flood of memory.
const MAX_KEPT: usize = 20_000;

/// Seconds; more is cut to this, as AppSync does.
const MAX_TTL: u64 = 3_600;

/// AppSync gives an authorizer ten seconds.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct LambdaAuthorizer {
    settings: Authorizer,
    api_id: Arc<str>,
    account_id: Arc<str>,
    invoke: Arc<dyn Invoke>,
    kept: DashMap<String, Kept>,
    /// Tokens being asked about.
    asking: DashMap<String, Arc<Mutex<()>>>,
}

struct Kept {
    until: Instant,
    /// `None` for a refusal, which is kept as long as a permission is.
    caller: Option<Caller>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    authorization_token: &'a str,
    request_context: RequestContext<'a>,
    request_headers: &'a Headers,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    api_id: &'a str,
    account_id: &'a str,
    request_id: String,
    query_string: &'a str,
    operation_name: Option<&'a str>,
    variables: &'a Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decision {
    is_authorized: bool,
    resolver_context: Option<Map<String, Value>>,
    denied_fields: Option<Vec<String>>,
    ttl_override: Option<u64>,
}

impl LambdaAuthorizer {
    pub(super) fn new(settings: Authorizer, api_id: &str, account_id: &str, invoke: Arc<dyn Invoke>) -> Self {
        Self {
            settings,
            api_id: api_id.into(),
            account_id: account_id.into(),
            invoke,
            kept: DashMap::new(),
            asking: DashMap::new(),
        }
    }

    pub(super) async fn decide(&self, token: &str, attempt: &Attempt<'_>) -> Result<Caller, Refusal> {
        if self.settings.token_pattern.as_ref().is_some_and(|pattern| !pattern.is_match(token)) {
            return Err(Refusal::unauthorized());
        }
        if let Some(kept) = self.kept(token) {
            return kept.ok_or_else(Refusal::unauthorized);
        }
        if self.settings.ttl == 0 {
            return self.asked(token, attempt).await;
        }
        // A decision that expires under load is asked for once, not by every request that finds it gone.
        let turn = Arc::clone(&self.asking.entry(token.to_owned()).or_default());
        let decided = {
            let _mine = turn.lock().await;
            match self.kept(token) {
                Some(kept) => kept.ok_or_else(Refusal::unauthorized),
                None => self.asked(token, attempt).await,
            }
        };
        // The map's and ours: nobody else waits.
        self.asking.remove_if(token, |_, turn| Arc::strong_count(turn) <= 2);
        decided
    }

    /// `Some(None)` for a refusal that still stands.
    fn kept(&self, token: &str) -> Option<Option<Caller>> {
        let kept = self.kept.get(token)?;
        (Instant::now() < kept.until).then(|| kept.caller.clone())
    }

    async fn asked(&self, token: &str, attempt: &Attempt<'_>) -> Result<Caller, Refusal> {
        let decision = self.ask(token, attempt).await.map_err(|fault| {
            tracing::warn!(authorizer = self.settings.function, %fault, "the authorizer gave no decision");
            Refusal::unauthorized()
        })?;
        let seconds = decision.ttl_override.unwrap_or(self.settings.ttl.into()).min(MAX_TTL);
        let caller = decision.is_authorized.then(|| {
            let identity = json!({ "resolverContext": decision.resolver_context.unwrap_or_default() });
            Caller::new(AuthMode::Lambda, &identity, denied(decision.denied_fields.as_deref().unwrap_or(&[])))
        });
        if seconds > 0 {
            self.keep(token, Duration::from_secs(seconds), caller.clone());
        }
        caller.ok_or_else(Refusal::unauthorized)
    }

    async fn ask(&self, token: &str, attempt: &Attempt<'_>) -> Result<Decision, String> {
        let question = Question {
            authorization_token: token,
            request_context: RequestContext {
                api_id: &self.api_id,
                account_id: &self.account_id,
                request_id: Uuid::new_v4().to_string(),
                query_string: attempt.query,
                operation_name: attempt.operation_name,
                variables: attempt.variables,
            },
            request_headers: attempt.headers,
        };
        let payload = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        let answer =
            tokio::time::timeout(TIMEOUT, self.invoke.invoke(&self.settings.function, payload.into()))
                .await
                .map_err(|_| "no answer in 10 s".to_owned())?
                .map_err(|error| error.to_string())?;
        if answer.function_error.is_some() {
            return Err(String::from_utf8_lossy(&answer.payload).into_owned());
        }
        serde_json::from_slice(&answer.payload).map_err(|error| error.to_string())
    }

    fn keep(&self, token: &str, time: Duration, caller: Option<Caller>) {
        let now = Instant::now();
        if self.kept.len() >= MAX_KEPT {
            self.kept.retain(|_, kept| now < kept.until);
        }
        if self.kept.len() < MAX_KEPT {
            self.kept.insert(token.to_owned(), Kept { until: now + time, caller });
        }
    }
}

/// `arn:aws:appsync:…:apis/ID/types/TYPE/fields/FIELD` or the short `TYPE.FIELD`.
fn denied(fields: &[String]) -> HashSet<(String, String)> {
    let pair = |text: &String| {
        let long = text.split_once("/types/").and_then(|(_, rest)| rest.split_once("/fields/"));
        long.or_else(|| text.split_once('.')).map(|(parent, field)| (parent.to_owned(), field.to_owned()))
    };
    fields.iter().filter_map(pair).collect()
}
