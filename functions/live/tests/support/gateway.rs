//! API Gateway's `@connections`, for sockets that are lists of what they were sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Default)]
struct Socket {
    frames: Vec<Value>,
    posts: usize,
    /// Posts that will fail.
    failures: usize,
    /// Posts are taken and never answered.
    hangs: bool,
}

#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) url: String,
    sockets: Arc<Mutex<HashMap<String, Socket>>>,
    /// Posts to sockets that it does not have.
    lost: Arc<Mutex<usize>>,
}

impl Gateway {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/live", listener.local_addr().unwrap());
        let gateway = Self { url, sockets: Arc::default(), lost: Arc::default() };
        let methods = || post(take).get(look).delete(close);
        let router = Router::new()
            .route("/live/@connections/{id}", methods())
            .route("/live/%40connections/{id}", methods())
            .with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        gateway
    }

    pub(crate) fn open_socket(&self, name: &str) {
        self.sockets.lock().unwrap().insert(name.into(), Socket::default());
    }

    pub(crate) fn close_socket(&self, name: &str) {
        self.sockets.lock().unwrap().remove(name).unwrap();
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.sockets.lock().unwrap().contains_key(name)
    }

    /// The next posts to a socket fail.
    pub(crate) fn fail(&self, name: &str, failures: usize) {
        self.sockets.lock().unwrap().get_mut(name).unwrap().failures = failures;
    }

    pub(crate) fn hang(&self, name: &str, hangs: bool) {
        self.sockets.lock().unwrap().get_mut(name).unwrap().hangs = hangs;
    }

    pub(crate) fn posts(&self, name: &str) -> usize {
        self.sockets.lock().unwrap()[name].posts
    }

    pub(crate) fn lost(&self) -> usize {
        *self.lost.lock().unwrap()
    }

    pub(crate) fn frames(&self, name: &str) -> Vec<Value> {
        self.sockets.lock().unwrap()[name].frames.clone()
    }

    /// `updatedAt` of the updates that a socket heard, of one connector or all.
    pub(crate) fn heard(&self, name: &str, connector: Option<uuid::Uuid>) -> Vec<i64> {
        let frames = self.frames(name);
        let updates = frames
            .iter()
            .filter(|frame| frame["event"] == "station_update")
            .map(|frame| &frame["data"]["data"]);
        let of_it = updates.filter(|data| connector.is_none_or(|id| data["connectorId"] == json!(id)));
        of_it.map(|data| data["updatedAt"].as_i64().unwrap()).collect()
    }
}

fn gone() -> Response {
    (StatusCode::GONE, [("x-amzn-errortype", "GoneException")], Json(json!({ "message": "Gone" })))
        .into_response()
}

async fn take(State(gateway): State<Gateway>, Path(id): Path<String>, frame: String) -> Response {
    // Not all alike, so that what is not kept in order gets out of it.
    tokio::time::sleep(Duration::from_micros(rand::random_range(0..4000))).await;
    let hangs = {
        let mut sockets = gateway.sockets.lock().unwrap();
        let Some(socket) = sockets.get_mut(&id) else {
            *gateway.lost.lock().unwrap() += 1;
            return gone();
        };
        socket.posts += 1;
        if socket.failures > 0 {
            socket.failures -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        if !socket.hangs {
            socket.frames.push(serde_json::from_str(&frame).unwrap());
        }
        socket.hangs
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    StatusCode::OK.into_response()
}

async fn look(State(gateway): State<Gateway>, Path(id): Path<String>) -> Response {
    if gateway.has(&id) { Json(json!({})).into_response() } else { gone() }
}

async fn close(State(gateway): State<Gateway>, Path(id): Path<String>) -> Response {
    match gateway.sockets.lock().unwrap().remove(&id) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => gone(),
    }
}
