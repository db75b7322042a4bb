//! The HTTP face: five POST paths with JSON in and out.

use std::io;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::wire::{
    BatchExecuteStatementResponse, BeginTransactionResponse, EndTransactionResponse, ExecuteStatementResponse,
};
use crate::{DataApi, Inner};

const MAX_REQUEST: usize = 4 * 1024 * 1024;

type Body = Result<Bytes, BytesRejection>;
type Answer<T> = Result<Json<T>, Failure>;

impl DataApi {
    /// The service's paths. Signatures are not checked.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/Execute", post(execute))
            .route("/BatchExecute", post(batch))
            .route("/BeginTransaction", post(begin))
            .route("/CommitTransaction", post(commit))
            .route("/RollbackTransaction", post(rollback))
            .fallback(async || {
                Failure::bad_request("This API isn't available. Use ExecuteStatement API instead")
            })
            .layer(DefaultBodyLimit::max(MAX_REQUEST))
            .with_state(self.inner.clone())
    }

    /// Serves until `shutdown`, then finishes the calls under way. Fails when the listener does.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps Nagle's delay");
            }
        });
        axum::serve(listener, self.router()).with_graceful_shutdown(shutdown.cancelled_owned()).await
    }
}

fn parse<T: DeserializeOwned>(body: Body) -> Result<T, Failure> {
    let body = body.map_err(|rejection| Failure::bad_request(rejection.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| Failure::validation(error.to_string()))
}

/// A transaction is begun and ended whole, though the caller hang up meanwhile.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Answer<T> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(Failure::internal())).map(Json)
}

async fn execute(State(api): State<Arc<Inner>>, body: Body) -> Answer<ExecuteStatementResponse> {
    api.execute(parse(body)?).await.map(Json)
}

async fn batch(State(api): State<Arc<Inner>>, body: Body) -> Answer<BatchExecuteStatementResponse> {
    api.batch(parse(body)?).await.map(Json)
}

async fn begin(State(api): State<Arc<Inner>>, body: Body) -> Answer<BeginTransactionResponse> {
    let request = parse(body)?;
    to_the_end(async move { api.begin(request).await }).await
}

async fn commit(State(api): State<Arc<Inner>>, body: Body) -> Answer<EndTransactionResponse> {
    let request = parse(body)?;
    to_the_end(async move { api.commit(request).await }).await
}

async fn rollback(State(api): State<Arc<Inner>>, body: Body) -> Answer<EndTransactionResponse> {
    let request = parse(body)?;
    to_the_end(async move { api.rollback(request).await }).await
}
