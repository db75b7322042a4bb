//! GraphQL over HTTP, and the two paths on which a WebSocket may be opened.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequest, State, WebSocketUpgrade};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures::StreamExt;
use serde::Serialize;
use serde_json::Map;
use uuid::Uuid;

use crate::api::{Api, Request, Response};
use crate::auth::{Attempt, Headers, SignedTarget};
use crate::error::Refusal;
use crate::realtime;

const MAX_BODY: usize = 1 << 20;
/// Of a larger body so much is thrown away: a client that may not finish its request does not hear why it was refused.
const MAX_DISCARDED: usize = 16 << 20;
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ALLOWED_HEADERS: &str = "accept, content-type, authorization, x-api-key, x-amz-date, x-amz-user-agent, \
                               x-amz-security-token, x-amz-content-sha256, x-amzn-trace-id, x-correlation-id";

impl Api {
    /// `POST /graphql`, its preflight, and WebSockets at `/graphql/realtime` and `/graphql`. Give it the peer's address
    /// with `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/graphql", post(graphql).get(realtime).options(preflight))
            .route("/graphql/realtime", get(realtime).options(preflight))
            .with_state(Arc::clone(self))
    }
}

async fn graphql(
    State(api): State<Arc<Api>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> HttpResponse {
    let body = match read(body).await {
        Ok(body) => body,
        Err(refusal) => return answer(&refusal.into()),
    };
    let source_ip = source_ip(peer);
    let headers = received(&headers, &source_ip);
    let request = match serde_json::from_slice::<Request>(&body) {
        // A list of a request's values reads as one, too.
        Ok(request) if body.trim_ascii_start().starts_with(b"{") => Ok(request),
        Ok(_) => Err(Refusal::malformed("Invalid JSON payload in POST request.")),
        Err(error) if error.is_data() => {
            Err(Refusal::malformed("The request needs a query, and variables that are an object."))
        }
        Err(_) => Err(Refusal::malformed("Invalid JSON payload in POST request.")),
    };
    // Who may not call learns nothing of what was wrong with the request.
    let empty = Map::new();
    let attempt = Attempt {
        headers: &headers,
        signed: SignedTarget {
            method: "POST",
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            body: &body,
        },
        query: request.as_ref().map_or("", |request| &request.query),
        operation_name: request.as_ref().ok().and_then(|request| request.operation_name.as_deref()),
        variables: request.as_ref().map_or(&empty, |request| &request.variables),
        source_ip: &source_ip,
    };
    let caller = match api.authenticator.authenticate(&attempt).await {
        Ok(caller) => caller,
        Err(refusal) => return answer(&refusal.into()),
    };
    match request {
        Ok(request) => answer(&api.execute_with(&request, &caller, &headers).await),
        Err(refusal) => answer(&refusal.into()),
    }
}

/// The whole body, if it is no larger than AppSync takes.
async fn read(body: Body) -> Result<Bytes, Refusal> {
    let (mut chunks, mut whole, mut received) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::malformed("Unable to read the request."))?;
        received += chunk.len();
        if received <= MAX_BODY {
            whole.extend_from_slice(&chunk);
        } else if received > MAX_DISCARDED {
            break;
        }
    }
    if received > MAX_BODY {
        let message = "The request is larger than 1 MB.";
        return Err(Refusal::request(413, "RequestEntityTooLargeException", message));
    }
    Ok(whole.into())
}

async fn realtime(
    State(api): State<Arc<Api>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: axum::extract::Request,
) -> HttpResponse {
    let source_ip = source_ip(peer);
    let (uri, headers) = (request.uri().clone(), received(request.headers(), &source_ip));
    match WebSocketUpgrade::from_request(request, &()).await {
        Ok(upgrade) => realtime::upgrade(api, upgrade, &uri, &headers, source_ip).await,
        Err(_) => answer(
            &Refusal::malformed("Queries and mutations are sent by POST; subscriptions by WebSocket.").into(),
        ),
    }
}

async fn preflight() -> HttpResponse {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, OPTIONS")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS)),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800")),
    ];
    (StatusCode::OK, headers).into_response()
}

/// Any response of the API, with the headers AppSync puts on each.
fn answer(response: &Response) -> HttpResponse {
    let status = StatusCode::from_u16(response.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, json(response)).into_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "x-amzn-RequestId,x-amzn-ErrorType,x-amz-user-agent,x-amzn-ErrorMessage,Date",
        ),
    );
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    if status != StatusCode::OK
        && let Some(Ok(kind)) =
            response.errors().first().and_then(|error| error.error_type()).map(HeaderValue::from_str)
    {
        headers.insert(ERROR_TYPE, kind);
    }
    answer
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Behind TLS the peer is not known, and is this machine in any case.
fn source_ip(peer: Option<Extension<ConnectInfo<SocketAddr>>>) -> String {
    peer.map_or_else(|| "127.0.0.1".to_owned(), |Extension(ConnectInfo(address))| address.ip().to_string())
}

/// The address of the edge through which every request came; on AWS one of CloudFront's.
const EDGE: &str = "127.0.0.1";

/// Headers as resolvers see them: several of one name joined by commas, and the list of forwarders that the edge
/// and AppSync have continued.
fn received(headers: &HeaderMap, source_ip: &str) -> Headers {
    let mut readable = readable(headers);
    let claimed = readable.remove("x-forwarded-for").map(|claimed| claimed + ", ").unwrap_or_default();
    readable.insert("x-forwarded-for".to_owned(), format!("{claimed}{source_ip}, {EDGE}"));
    readable
}

fn readable(headers: &HeaderMap) -> Headers {
    let mut readable = Headers::new();
    for (name, value) in headers {
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else { continue };
        readable
            .entry(name.as_str().to_owned())
            .and_modify(|whole| {
                whole.push_str(", ");
                whole.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    readable
}
