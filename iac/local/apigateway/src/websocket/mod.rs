//! WebSocket APIs: routes to functions, one task a connection, and the `@connections` API by which functions
//! answer.

mod connection;
mod event;
mod handshake;
mod management;
mod selection;
mod template;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use dashmap::DashMap;
use futures::future::join_all;
use lambda_host::Invoke;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use template::ApiDefinition;

use crate::throttle::Throttle;
use connection::Link;

/// The service's limits, which tests shorten, and what the edge does before it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The largest message in bytes: 128 KB.
    pub max_message: usize,
    /// The largest frame in bytes: 32 KB.
    pub max_frame: usize,
    /// How long a connection may carry nothing: 10 min.
    pub idle: Duration,
    /// How long a connection may last: 2 h.
    pub life: Duration,
    /// Messages of one connection that functions work on at once; the next ones wait in the socket.
    pub concurrent_messages: usize,
    /// Messages to one connection that may wait to be written; more are refused with 429.
    pub waiting_messages: usize,
    /// The rewriting that the edge does.
    pub edge: Option<EdgePath>,
}

/// `{prefix}{id}` is the stage with `{parameter}={id}` as its whole query.
#[derive(Debug, Clone)]
pub struct EdgePath {
    /// `/ocpp/`.
    pub prefix: String,
    /// `chargePointId`.
    pub parameter: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_message: 128 * 1024,
            max_frame: 32 * 1024,
            idle: Duration::from_secs(600),
            life: Duration::from_secs(2 * 3600),
            concurrent_messages: 16,
            waiting_messages: 256,
            edge: Some(EdgePath { prefix: "/ocpp/".to_owned(), parameter: "chargePointId".to_owned() }),
        }
    }
}

/// A WebSocket API and its connections. Clones share them.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    definition: ApiDefinition,
    invoke: Arc<dyn Invoke>,
    options: Options,
    throttle: Option<Throttle>,
    /// By connection id, from the `$connect` that accepted them.
    links: DashMap<String, Arc<Link>>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Api {
    /// An API without connections yet.
    #[must_use]
    pub fn new(definition: ApiDefinition, invoke: Arc<dyn Invoke>, options: Options) -> Self {
        let throttle = Throttle::new(&definition.throttling);
        let (links, closing, tasks) = (DashMap::new(), CancellationToken::new(), TaskTracker::new());
        Self { inner: Arc::new(Inner { definition, invoke, options, throttle, links, closing, tasks }) }
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.inner.links.len()
    }

    /// Closes every connection with 1001 and waits, for so long, until their `$disconnect` is done.
    pub async fn close(&self, patience: Duration) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(patience, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!(
                left = self.connections(),
                "connections were left before their $disconnect was done"
            );
        }
    }
}

/// Serves APIs on one address until `shutdown`, then closes each as [`Api::close`] does. Their stages tell them apart,
/// and what the edge does comes with them. Fails when the listener does.
pub async fn serve(apis: &[Api], listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's delay");
        }
    });
    let service = router(apis).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    join_all(apis.iter().map(|api| api.close(Duration::from_secs(5)))).await;
    served
}

/// The stages, their `@connections`, and the edge's paths. Serve it with `SocketAddr` connect info, from which
/// `sourceIp` comes.
fn router(apis: &[Api]) -> Router {
    let inner: Arc<[Arc<Inner>]> = apis.iter().map(|api| api.inner.clone()).collect();
    management::routes().fallback(handshake::connect).with_state(inner)
}
