//! A stand-in for OpenChargeMap's API, serving real POIs: same paths, parameters, defaults and quirks, and faults on
//! demand. It keeps its data in memory and knows nothing of the system that mirrors it.

mod answer;
mod catalogue;
mod faults;
mod query;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use catalogue::{Catalogue, real_pois};
pub use faults::Fault;
pub use query::Query;

use faults::Faults;

const NO_KEY: &str =
    "You must specify an API key, either in an X-API-Key header or key= query string parameter.";

/// How a server behaves.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// The only key it takes; any GUID when none.
    pub key: Option<Uuid>,
    /// Every n-th request for POIs is answered 502; none: all succeed.
    pub fail_every: Option<u64>,
}

struct Shared {
    behaviour: Behaviour,
    catalogue: Mutex<Catalogue>,
    faults: Mutex<Faults>,
    /// The query strings of all POI requests, keys removed, in order.
    requests: Mutex<Vec<String>>,
}

/// A running server; stops when dropped.
pub struct OcmServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for OcmServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl OcmServer {
    /// Serves `catalogue` on a loopback `port`; 0 takes a free one.
    pub async fn start(catalogue: Catalogue, behaviour: Behaviour, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour,
            catalogue: Mutex::new(catalogue),
            faults: Mutex::default(),
            requests: Mutex::default(),
        });
        let router = router(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the OpenChargeMap stand-in stopped: {error}");
            }
        });
        Ok(Self { address, shared, task })
    }

    /// The API's base address, `http://127.0.0.1:PORT/v3`.
    pub fn url(&self) -> String {
        format!("http://{}/v3", self.address)
    }

    /// Makes the next requests for POIs fail, one fault each.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        locked(&self.shared.faults).queue(faults);
    }

    /// Adds a POI or replaces the one with its ID. False when it has none.
    pub fn put(&self, poi: Value) -> bool {
        locked(&self.shared.catalogue).put(poi)
    }

    /// The query strings of all POI requests so far, without keys.
    pub fn requests(&self) -> Vec<String> {
        locked(&self.shared.requests).clone()
    }

    /// Serves until the process ends.
    pub async fn wait(mut self) {
        if let Err(error) = (&mut self.task).await {
            eprintln!("the OpenChargeMap stand-in stopped: {error}");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v3/poi", get(poi))
        .route("/v3/poi/", get(poi))
        .route("/v3/referencedata", get(reference_data))
        .route("/admin/faults", post(add_faults))
        .route("/admin/pois", post(add_pois))
        .route("/admin/requests", get(list_requests))
        .with_state(shared)
}

async fn poi(State(shared): State<Arc<Shared>>, headers: HeaderMap, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref().unwrap_or_default());
    if let Err(refusal) = authorise(&shared, &headers, &query) {
        return refusal;
    }
    locked(&shared.requests).push(query.without_key());
    let fault = locked(&shared.faults).next(shared.behaviour.fail_every);
    match &fault {
        Some(Fault::Status { status, retry_after }) => return status_answer(*status, *retry_after),
        Some(Fault::Slow { milliseconds }) => tokio::time::sleep(Duration::from_millis(*milliseconds)).await,
        _ => {}
    }
    let body = match locked(&shared.catalogue).select(&query) {
        Ok(pois) => answer::shape(&pois, &query),
        Err(unsupported) => return (StatusCode::BAD_REQUEST, unsupported).into_response(),
    };
    let mut text = body.to_string();
    if matches!(fault, Some(Fault::Truncated)) {
        // Half of it, on a character's edge: what a broken connection behind a proxy leaves.
        let half = (0..=text.len() / 2).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
        text.truncate(half);
    }
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], text).into_response()
}

async fn reference_data(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Response {
    let query = Query::parse(raw.as_deref().unwrap_or_default());
    if let Err(refusal) = authorise(&shared, &headers, &query) {
        return refusal;
    }
    match catalogue::reference_data() {
        Ok(data) => Json(data).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer itself")]
fn authorise(shared: &Shared, headers: &HeaderMap, query: &Query) -> Result<(), Response> {
    let header = headers.get("x-api-key").and_then(|value| value.to_str().ok());
    let key = query.text("key").or(header).and_then(|key| Uuid::try_parse(key).ok());
    match (key, shared.behaviour.key) {
        (Some(key), Some(expected)) if key == expected => Ok(()),
        (Some(_), None) => Ok(()),
        _ => Err((StatusCode::FORBIDDEN, NO_KEY).into_response()),
    }
}

fn status_answer(status: u16, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut answer = (status, status.canonical_reason().unwrap_or_default()).into_response();
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

async fn add_faults(State(shared): State<Arc<Shared>>, Json(faults): Json<Vec<Fault>>) -> StatusCode {
    locked(&shared.faults).queue(faults);
    StatusCode::NO_CONTENT
}

async fn add_pois(State(shared): State<Arc<Shared>>, Json(pois): Json<Vec<Value>>) -> StatusCode {
    let mut catalogue = locked(&shared.catalogue);
    if pois.into_iter().all(|poi| catalogue.put(poi)) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::BAD_REQUEST
    }
}

async fn list_requests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(*locked(&shared.requests)))
}
