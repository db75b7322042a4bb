//! The Lambda Runtime API (2018-06-01) for every process, on one port: `/{function}/{process}` before the
//! published paths says which process is speaking.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use chrono::Utc;
use serde_json::json;
use uuid::Uuid;

use crate::outcome::{self, MAX_RESPONSE};
use crate::pool::{Pool, Work};

/// By function name; fixed once the host is up, so reading it takes no lock.
pub(crate) type Pools = Arc<HashMap<String, Arc<Pool>>>;

/// An answer is read this far, to tell the function that it is too large instead of breaking off.
const READ_LIMIT: usize = 64 * 1024 * 1024;

pub(crate) fn router(pools: Pools) -> Router {
    Router::new()
        .route("/{function}/{process}/2018-06-01/runtime/invocation/next", get(next))
        .route("/{function}/{process}/2018-06-01/runtime/invocation/{request}/response", post(response))
        .route("/{function}/{process}/2018-06-01/runtime/invocation/{request}/error", post(error))
        .route("/{function}/{process}/2018-06-01/runtime/init/error", post(init_error))
        .with_state(pools)
}

async fn next(State(pools): State<Pools>, Path((function, process)): Path<(String, u64)>) -> Response {
    let Some(pool) = pools.get(&function) else { return unknown_process() };
    let work = match pool.next(process) {
        Some(work) => work.await.ok(),
        None => None,
    };
    match work {
        Some(work) => invocation(&pool.function.arn, work),
        // The process is about to be stopped: any answer would only make it log an error first.
        None => std::future::pending().await,
    }
}

fn invocation(arn: &str, work: Work) -> Response {
    let mut response = Response::new(Body::from(work.payload));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let id = work.request_id.simple().to_string();
    let trace = format!("Root=1-{:08x}-{};Parent={};Sampled=0", Utc::now().timestamp(), &id[..24], &id[16..]);
    for (name, value) in [
        ("lambda-runtime-aws-request-id", work.request_id.to_string()),
        ("lambda-runtime-deadline-ms", work.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", arn.to_owned()),
        ("lambda-runtime-trace-id", trace),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

async fn response(
    State(pools): State<Pools>,
    Path((function, process, request)): Path<(String, u64, Uuid)>,
    body: Body,
) -> Response {
    let Some(pool) = pools.get(&function) else { return unknown_process() };
    let payload = match to_bytes(body, READ_LIMIT).await {
        Ok(payload) if payload.len() <= MAX_RESPONSE => payload,
        _ => {
            pool.answer(process, request, outcome::response_too_large(request));
            return refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                "the response is over 6 MB",
            );
        }
    };
    accepted(pool.answer(process, request, outcome::succeeded(payload)))
}

async fn error(
    State(pools): State<Pools>,
    Path((function, process, request)): Path<(String, u64, Uuid)>,
    body: Bytes,
) -> Response {
    let Some(pool) = pools.get(&function) else { return unknown_process() };
    accepted(pool.answer(process, request, outcome::failed(body)))
}

async fn init_error(
    State(pools): State<Pools>,
    Path((function, process)): Path<(String, u64)>,
    body: Bytes,
) -> Response {
    let Some(pool) = pools.get(&function) else { return unknown_process() };
    pool.init_failed(process, outcome::failed(body));
    accepted(true)
}

fn accepted(taken: bool) -> Response {
    if taken {
        (StatusCode::ACCEPTED, Json(json!({"status": "OK"}))).into_response()
    } else {
        refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "this process does not have that invocation")
    }
}

fn unknown_process() -> Response {
    refusal(StatusCode::FORBIDDEN, "InvalidFunction", "no such function")
}

fn refusal(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, Json(json!({"errorType": kind, "errorMessage": message}))).into_response()
}
