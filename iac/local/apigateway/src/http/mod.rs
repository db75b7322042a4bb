//! HTTP APIs: `AWS::Serverless::HttpApi` and the `HttpApi` events of functions, with payload format 2.0.

mod cors;
mod event;
mod response;
mod routes;
mod template;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use lambda_host::Invoke;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use template::ApiDefinition;

use crate::integration::NoAnswer;
use crate::throttle::Throttle;
use routes::Found;

/// The service's limits, which tests shorten.
#[derive(Debug, Clone)]
pub struct Options {
    /// The largest request body in bytes: 10 MB.
    pub max_body: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_body: 10 * 1024 * 1024 }
    }
}

/// An HTTP API. Clones share its throttling.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    definition: ApiDefinition,
    invoke: Arc<dyn Invoke>,
    throttle: Option<Throttle>,
    /// By route key; such a route is not under the API's own.
    route_throttles: BTreeMap<String, Throttle>,
    options: Options,
}

impl Api {
    /// An API whose functions `invoke` runs.
    #[must_use]
    pub fn new(definition: ApiDefinition, invoke: Arc<dyn Invoke>, options: Options) -> Self {
        let throttle = Throttle::new(&definition.throttling);
        let of_routes = definition.route_throttling.iter();
        let of_routes = of_routes.filter_map(|(key, settings)| Some((key.clone(), Throttle::new(settings)?)));
        let route_throttles = of_routes.collect();
        Self { inner: Arc::new(Inner { definition, invoke, throttle, route_throttles, options }) }
    }

    /// Every path, as the routes have it. Serve it with `SocketAddr` connect info, from which `sourceIp` comes.
    pub fn router(&self) -> Router {
        let limit = DefaultBodyLimit::max(self.inner.options.max_body);
        Router::new().fallback(serve).layer(limit).with_state(self.inner.clone())
    }

    /// Serves until `shutdown`, then finishes the requests under way. Fails when the listener does.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps Nagle's delay");
            }
        });
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await
    }
}

async fn serve(State(api): State<Arc<Inner>>, parts: Parts, body: Result<Bytes, BytesRejection>) -> Response {
    let cors = api.definition.cors.as_ref();
    if let Some(preflight) = cors.and_then(|cors| cors.preflight(&parts.method, &parts.headers)) {
        return preflight;
    }
    let mut response = api.answer(&parts, body).await;
    if let Some(cors) = cors {
        cors.apply(&parts.headers, response.headers_mut());
    }
    response
}

impl Inner {
    async fn answer(&self, parts: &Parts, body: Result<Bytes, BytesRejection>) -> Response {
        let found = self.definition.stage_path(parts.uri.path());
        let found = found.and_then(|path| self.definition.routes.find(&parts.method, path));
        let Some(Found { route_key, integration, parameters }) = found else {
            return refuse(StatusCode::NOT_FOUND, "Not Found");
        };
        let throttle = self.route_throttles.get(route_key).or(self.throttle.as_ref());
        if throttle.is_some_and(|throttle| !throttle.admits(Instant::now())) {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
        }
        let body = match body {
            Ok(body) => body,
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
            }
            Err(_) => return refuse(StatusCode::BAD_REQUEST, "Bad Request"),
        };
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let source_ip = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let event = event::request(&self.definition, route_key, &parameters, source_ip, parts, &body);
        match integration.call(self.invoke.as_ref(), &event).await {
            Ok(payload) => response::from_payload(&payload)
                .unwrap_or_else(|| refuse(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")),
            Err(NoAnswer::TimedOut) => refuse(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            Err(NoAnswer::Failed) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", axum::http::HeaderValue::from_static("application/json"));
    (status, headers, serde_json::json!({ "message": message }).to_string()).into_response()
}
