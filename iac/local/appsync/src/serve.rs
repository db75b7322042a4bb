//! Listens, with TLS or without, until told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::tls::Certificate;

const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const WAITING_CONNECTIONS: usize = 64;

impl Api {
    /// Serves HTTP and WebSocket on `listener`. When `stop` is cancelled, requests in progress are finished,
    /// WebSockets closed, and this returns.
    ///
    /// # Errors
    /// The listener fails for good.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let stopping = self.stop_with(stop);
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(stopping).await
    }

    /// As [`serve`](Self::serve), over TLS.
    ///
    /// # Errors
    /// The listener fails for good.
    pub async fn serve_tls(
        self: Arc<Self>,
        listener: TcpListener,
        certificate: &Certificate,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let listener = TlsListener::new(listener, TlsAcceptor::from(Arc::clone(&certificate.config)))?;
        let stopping = self.stop_with(stop);
        axum::serve(listener, self.router()).with_graceful_shutdown(stopping).await
    }

    fn stop_with(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let stopping = self.stopping.clone();
        async move {
            stop.cancelled().await;
            stopping.cancel();
        }
    }
}

/// Hands on connections whose handshake is done: one slow client must not keep the next waiting.
struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    accepting: tokio::task::JoinHandle<()>,
}

impl TlsListener {
    fn new(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(WAITING_CONNECTIONS);
        let accepting = tokio::spawn(async move {
            let mut listener = listener;
            loop {
                // axum's accept waits and goes on where the operating system has no socket to spare.
                let (stream, peer) = Listener::accept(&mut listener).await;
                let (acceptor, done) = (acceptor.clone(), done.clone());
                tokio::spawn(async move {
                    match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => {
                            let _ = done.send((stream, peer)).await;
                        }
                        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                        Err(_) => tracing::debug!("TLS handshake took too long"),
                    }
                });
            }
        });
        Ok(Self { address, ready, accepting })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
