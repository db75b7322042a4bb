//! The opening of a connection: the path, `$connect`, and the answer that its function decides.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::event::{self, Caller, ProxyResponse};
use super::{Inner, connection};
use crate::identity::request_id;
use crate::integration::NoAnswer;
use crate::query;

pub(super) async fn connect(State(apis): State<Arc<[Arc<Inner>]>>, mut request: Request) -> Response {
    let found = apis.iter().find_map(|api| Some((api.clone(), api.query_of(request.uri())?)));
    let (api, query) = match found {
        Some((api, Ok(query))) => (api, query),
        Some((_, Err(status))) => return refuse(status),
        None => return refuse(StatusCode::FORBIDDEN),
    };
    let Some(accept) = accept_key(request.method(), request.headers()) else {
        return refuse(StatusCode::UPGRADE_REQUIRED);
    };
    if api.throttle.as_ref().is_some_and(|throttle| !throttle.admits(Instant::now())) {
        return refuse(StatusCode::TOO_MANY_REQUESTS);
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let caller = Caller {
        connection_id: request_id(),
        connected_at: Utc::now(),
        source_ip: peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        user_agent: user_agent.map(str::to_owned),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let headers = std::mem::take(request.headers_mut());
    let (answer, answered) = oneshot::channel();
    // A task of its own, because a client that hangs up now must still be disconnected once it was connected.
    let opening = Opening { caller, headers, query, accept, upgrade };
    api.tasks.spawn(opening.run(api.clone(), answer));
    answered.await.unwrap_or_else(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR))
}

impl Inner {
    /// The query of a request for this API, or with what status it is refused; none for a request for another.
    fn query_of(&self, uri: &Uri) -> Option<Result<Vec<(String, String)>, StatusCode>> {
        let path = uri.path();
        if let Some(edge) = &self.options.edge
            && let Some(segment) = path.strip_prefix(&edge.prefix)
        {
            let id = percent_decode_str(segment).decode_utf8().ok();
            let id = id.filter(|_| !segment.is_empty() && !segment.contains('/'));
            return Some(match id {
                Some(id) => Ok(vec![(edge.parameter.clone(), id.into_owned())]),
                None => Err(StatusCode::NOT_FOUND),
            });
        }
        let is_stage = path.trim_matches('/') == self.definition.stage;
        is_stage.then(|| Ok(query::pairs(uri.query().unwrap_or_default()).collect()))
    }
}

fn accept_key(method: &Method, headers: &HeaderMap) -> Option<String> {
    let has = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    let is_upgrade = method == Method::GET
        && has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_upgrade)?;
    Some(derive_accept_key(key.as_bytes()))
}

fn refuse(status: StatusCode) -> Response {
    let message = status.canonical_reason().unwrap_or_default();
    (status, Json(json!({ "message": message }))).into_response()
}

struct Opening {
    caller: Caller,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    accept: String,
    upgrade: OnUpgrade,
}

impl Opening {
    async fn run(self, api: Arc<Inner>, answer: oneshot::Sender<Response>) {
        let decision = match self.ask(&api).await {
            Ok(decision) => decision,
            Err(refusal) => {
                // A client that has gone does not mind.
                drop(answer.send(refusal));
                return;
            }
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::try_from(self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = decision.as_ref().and_then(subprotocol) {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let opened = connection::Opened::register(api, self.caller);
        drop(answer.send(response));
        opened.run(self.upgrade).await;
    }

    /// What `$connect`'s function returned, where there is one and it accepts.
    async fn ask(&self, api: &Inner) -> Result<Option<ProxyResponse>, Response> {
        let Some(route) = api.definition.routes.get("$connect") else { return Ok(None) };
        let event = event::connect(&api.definition, &self.caller, &self.headers, &self.query);
        let payload =
            route.integration.call(api.invoke.as_ref(), &event.body).await.map_err(|error| match error {
                NoAnswer::TimedOut => refuse(StatusCode::GATEWAY_TIMEOUT),
                NoAnswer::Failed => refuse(StatusCode::BAD_GATEWAY),
            })?;
        let response: ProxyResponse = serde_json::from_slice(&payload).map_err(|error| {
            tracing::warn!(%error, "$connect returned no proxy response");
            refuse(StatusCode::BAD_GATEWAY)
        })?;
        if (200..300).contains(&response.status_code) { Ok(Some(response)) } else { Err(refusal(&response)) }
    }
}

/// The refused client gets the function's status and headers, `WWW-Authenticate` above all.
fn refusal(response: &ProxyResponse) -> Response {
    let mut refusal = Response::new(Body::empty());
    *refusal.status_mut() = StatusCode::from_u16(response.status_code).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in response.all_headers() {
        let framing = ["connection", "upgrade", "content-length", "transfer-encoding"];
        if framing.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
            continue;
        }
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name), header_value(value)) {
            refusal.headers_mut().append(name, value);
        }
    }
    refusal
}

fn subprotocol(response: &ProxyResponse) -> Option<HeaderValue> {
    let mut headers = response.all_headers();
    headers
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
        .and_then(|(_, value)| header_value(value))
}

fn header_value(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::String(text) => HeaderValue::try_from(text).ok(),
        Value::Null => None,
        other => HeaderValue::try_from(other.to_string()).ok(),
    }
}
