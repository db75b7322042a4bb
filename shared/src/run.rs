//! Runs a handler as a plain Lambda: schedules, direct invocations, WebSocket routes.

use std::rc::Rc;
use std::time::Duration;

use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{error, info};

use crate::{Failure, Timestamp, read_fields, start_tracing, within};

/// What a handler may want to know of the invocation it serves.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    /// When it arrived.
    pub at: Timestamp,
    /// When Lambda kills it.
    pub deadline: Timestamp,
}

impl Invocation {
    /// The one that has just arrived.
    pub fn now(context: &Context) -> Self {
        let at = chrono::Utc::now();
        let deadline = i64::try_from(context.deadline).ok().and_then(chrono::DateTime::from_timestamp_millis);
        Self { at, deadline: deadline.unwrap_or(at) }
    }

    /// How long it may take, answering included.
    pub fn time(self) -> Duration {
        (self.deadline - self.at).to_std().unwrap_or_default()
    }
}

/// Runs `handler` on each event, a type of AWS's; every failure fails the invocation.
pub async fn run<E, R, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    R: Serialize,
    H: AsyncFn(Invocation, E) -> Result<R, Failure>,
{
    start_tracing();
    let handler = Rc::new(handler);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<E>| {
        let handler = Rc::clone(&handler);
        async move {
            let invocation = Invocation::now(&event.context);
            within(invocation.time(), handler(invocation, event.payload)).await.map_err(|failure| {
                error!(error_type = failure.error_type(), cause = failure.causes(), "failed");
                Diagnostic { error_type: failure.error_type().into(), error_message: failure.to_string() }
            })
        }
    }))
    .await
}

/// Runs `handler` for a schedule or a direct invocation. An absent or empty input reads as `{}`.
pub async fn task<I, R, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned,
    R: Serialize,
    H: AsyncFn(Invocation, I) -> Result<R, Failure>,
{
    run(async move |invocation, input: Value| {
        let input = if input.is_object() { input } else { serde_json::json!({}) };
        let report = handler(invocation, read_fields(input)?).await?;
        info!(report = serde_json::to_string(&report).unwrap_or_default(), "done");
        Ok(report)
    })
    .await
}
