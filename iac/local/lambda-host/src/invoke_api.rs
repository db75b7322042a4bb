//! Lambda's Invoke API, so that an SDK, the AWS command line or another host can call the functions here.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use uuid::Uuid;

use crate::host::Host;
use crate::invoke::{Invoke, InvokeError, Outcome};
use crate::outcome::MAX_REQUEST;
use crate::report::ProcessReport;

/// `POST /2015-03-31/functions/{name}/invocations`; and for the benchmark `GET /_local/processes` (see
/// [`ProcessReport`]) and `DELETE /_local/processes`, which ends the idle ones.
pub fn invoke_api(host: Arc<Host>) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .route("/_local/processes", get(processes).delete(retire))
        .with_state(host)
}

async fn invoke(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let kind = headers.get("x-amz-invocation-type").map_or(Ok("RequestResponse"), HeaderValue::to_str);
    let Ok(mut payload) = to_bytes(body, MAX_REQUEST).await else {
        return refused(&InvokeError::TooLarge);
    };
    if payload.is_empty() {
        payload = "{}".into();
    }
    match kind {
        Ok("RequestResponse") => match host.invoke(&name, payload).await {
            Ok(outcome) => answered(outcome),
            Err(error) => refused(&error),
        },
        Ok("Event") => match host.invoke_event(&name, payload).await {
            Ok(()) => identified(StatusCode::ACCEPTED.into_response()),
            Err(error) => refused(&error),
        },
        Ok("DryRun") => match host.function(&name) {
            Some(_) => identified(StatusCode::NO_CONTENT.into_response()),
            None => refused(&InvokeError::UnknownFunction(name)),
        },
        _ => failure(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            "X-Amz-Invocation-Type must be RequestResponse, Event or DryRun",
        ),
    }
}

fn answered(outcome: Outcome) -> Response {
    let mut response = Response::new(Body::from(outcome.payload));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    if let Some(error) = outcome.function_error.and_then(|error| HeaderValue::try_from(error).ok()) {
        headers.insert("x-amz-function-error", error);
    }
    identified(response)
}

fn refused(error: &InvokeError) -> Response {
    let (status, kind) = match error {
        InvokeError::UnknownFunction(_) => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
        InvokeError::Throttled(_) => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
        InvokeError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException"),
        InvokeError::Host(_) => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
    };
    failure(status, kind, &error.to_string())
}

fn failure(status: StatusCode, kind: &str, message: &str) -> Response {
    let side = if status.is_server_error() { "Service" } else { "User" };
    let mut response = (status, Json(json!({"Type": side, "Message": message}))).into_response();
    if let Ok(kind) = HeaderValue::try_from(kind) {
        response.headers_mut().insert("x-amzn-errortype", kind);
    }
    identified(response)
}

fn identified(mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

async fn processes(State(host): State<Arc<Host>>) -> Json<Vec<ProcessReport>> {
    Json(host.report())
}

async fn retire(State(host): State<Arc<Host>>) -> StatusCode {
    host.retire_idle();
    StatusCode::NO_CONTENT
}
