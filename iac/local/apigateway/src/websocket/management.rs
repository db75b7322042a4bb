//! `@connections`: what `aws-sdk-apigatewaymanagement` calls to send to a connection, look at it, or close it.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Inner;
use super::connection::{Link, NotSent};

pub(super) fn routes() -> Router<Arc<[Arc<Inner>]>> {
    let methods = || post(send).get(look).delete(close).layer(DefaultBodyLimit::max(1024 * 1024));
    Router::new()
        .route("/{stage}/@connections/{id}", methods())
        .route("/{stage}/%40connections/{id}", methods())
}

enum Refusal {
    Forbidden(&'static str),
    Gone,
    TooLarge,
    LimitExceeded,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, name, message) = match self {
            Self::Forbidden(message) => (StatusCode::FORBIDDEN, "ForbiddenException", message),
            Self::Gone => (StatusCode::GONE, "GoneException", "Gone"),
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "Request payload too large")
            }
            Self::LimitExceeded => {
                (StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", "Too many requests")
            }
        };
        (status, [("x-amzn-errortype", name)], Json(json!({ "message": message }))).into_response()
    }
}

impl From<NotSent> for Refusal {
    fn from(error: NotSent) -> Self {
        match error {
            NotSent::Gone => Self::Gone,
            NotSent::TooManyWaiting => Self::LimitExceeded,
        }
    }
}

fn link<'a>(
    apis: &'a [Arc<Inner>],
    stage: &str,
    id: &str,
    headers: &HeaderMap,
) -> Result<(&'a Inner, Arc<Link>), Refusal> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(Refusal::Forbidden("Missing Authentication Token"));
    }
    let api = apis.iter().find(|api| api.definition.stage == stage);
    let api = api.ok_or(Refusal::Forbidden("Forbidden"))?;
    let link = api.links.get(id).map(|link| link.clone()).ok_or(Refusal::Gone)?;
    Ok((api, link))
}

type Apis = State<Arc<[Arc<Inner>]>>;
type Name = Path<(String, String)>;

async fn send(
    State(apis): Apis,
    Path((stage, id)): Name,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Refusal> {
    let (api, link) = link(&apis, &stage, &id, &headers)?;
    let body = body.map_err(|_| Refusal::TooLarge)?;
    if body.len() > api.options.max_message {
        return Err(Refusal::TooLarge);
    }
    let message = match String::from_utf8(body.into()) {
        Ok(text) => Message::text(text),
        Err(binary) => Message::binary(binary.into_bytes()),
    };
    link.send(message)?;
    Ok(StatusCode::OK)
}

async fn look(
    State(apis): Apis,
    Path((stage, id)): Name,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let (_, link) = link(&apis, &stage, &id, &headers)?;
    let caller = &link.caller;
    let last_active = DateTime::from_timestamp_millis(link.last_active()).unwrap_or(caller.connected_at);
    let mut identity = json!({ "sourceIp": caller.source_ip });
    if let Some(user_agent) = &caller.user_agent {
        identity["userAgent"] = json!(user_agent);
    }
    Ok(Json(json!({
        "connectedAt": caller.connected_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "identity": identity,
        "lastActiveAt": last_active.to_rfc3339_opts(SecondsFormat::Millis, true),
    })))
}

async fn close(
    State(apis): Apis,
    Path((stage, id)): Name,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let (_, link) = link(&apis, &stage, &id, &headers)?;
    let frame = CloseFrame { code: CloseCode::Normal, reason: "Connection Closed Normally".into() };
    link.send(Message::Close(Some(frame)))?;
    Ok(StatusCode::NO_CONTENT)
}
