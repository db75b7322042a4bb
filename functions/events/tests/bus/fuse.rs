//! Kills a run at its n-th call to the outside, before the call is made or after its answer was lost.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// When a run dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    Before,
    After,
}

/// Every door that a run goes through asks it.
#[derive(Clone)]
pub(crate) struct Fuse(Arc<State>);

struct State {
    calls: AtomicUsize,
    blown: Notify,
    at: (usize, Blow),
}

impl Fuse {
    /// Blows at the `call`-th call, from 0.
    pub(crate) fn at(call: usize, blow: Blow) -> Self {
        Self(Arc::new(State { calls: AtomicUsize::new(0), blown: Notify::new(), at: (call, blow) }))
    }

    /// Does not blow.
    pub(crate) fn never() -> Self {
        Self::at(usize::MAX, Blow::Before)
    }

    /// The URL of a door before `upstream` that this fuse watches. A queue asked through it gives again at once what
    /// was not deleted, as if the time that a message is hidden for were over by the next run.
    pub(crate) async fn door(&self, upstream: &str) -> String {
        let (fuse, upstream) = (self.clone(), upstream.to_owned());
        let client = reqwest::Client::new();
        let pass = move |uri: axum::http::Uri, headers: HeaderMap, body: Bytes| {
            let (fuse, url, client) = (fuse.clone(), format!("{upstream}{uri}"), client.clone());
            async move {
                let call = fuse.0.calls.fetch_add(1, Ordering::SeqCst);
                fuse.pass(call, Blow::Before).await;
                let body = visible(&headers, body);
                let mut request = client.post(url).body(body);
                for (name, value) in &headers {
                    if name != "host" && name != "content-length" {
                        request = request.header(name, value);
                    }
                }
                let answer = request.send().await.unwrap();
                let mut response = Response::builder().status(answer.status());
                if let Some(kind) = answer.headers().get("content-type") {
                    response = response.header("content-type", kind);
                }
                for (name, value) in
                    answer.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-amzn"))
                {
                    response = response.header(name, value);
                }
                let bytes = answer.bytes().await.unwrap();
                fuse.pass(call, Blow::After).await;
                response.body(Body::from(bytes)).unwrap()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
        url
    }

    async fn pass(&self, call: usize, blow: Blow) {
        if self.0.at == (call, blow) {
            self.0.blown.notify_one();
            std::future::pending().await
        }
    }

    /// What `run` gives; none if the fuse blew, and the run with it.
    pub(crate) async fn watch<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        let mut run = pin!(run);
        tokio::select! {
            biased;
            () = self.0.blown.notified() => None,
            outcome = &mut run => Some(outcome),
        }
    }
}

fn visible(headers: &HeaderMap, body: Bytes) -> Bytes {
    if headers.get("x-amz-target").is_none_or(|target| target != "AmazonSQS.ReceiveMessage") {
        return body;
    }
    let mut request: Value = serde_json::from_slice(&body).unwrap();
    request["VisibilityTimeout"] = json!(0);
    request["WaitTimeSeconds"] = json!(0);
    request.to_string().into()
}
