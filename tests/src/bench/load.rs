//! Load on one door over kept-alive connections, bounded in count and time, to loopback only: as fast as answers come, or
//! at a steady rate where a late request counts from when it was due.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

use super::sample::Sample;
use crate::Result;

/// What one address may ask for before another has to: fewer than the least limit that the service sets an address.
const CALLS_AN_ADDRESS: usize = 250;

/// A POST that is repeated.
#[derive(Debug, Clone)]
pub struct Post {
    /// `http://127.0.0.1:…`.
    pub url: String,
    /// Beside the content type.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Bytes,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// GET or POST.
    pub method: Method,
    /// With its query.
    pub path: String,
    /// Beside the content type.
    pub headers: Vec<(String, String)>,
    /// JSON, or nothing.
    pub body: Bytes,
}

/// Requests to one door, each made once, in their order.
pub struct Calls<'a> {
    /// `http://127.0.0.1:…`, without a path.
    origin: String,
    /// The call of that number; none when there are no more.
    call: Box<dyn Fn(usize) -> Option<Call> + 'a>,
    made: AtomicUsize,
    /// As from many clients: each connection comes from another address.
    from_many: bool,
}

/// What a load came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Answers a second.
    pub rate: f64,
    /// Each answer's delay.
    pub delays: Sample,
    /// Answers that were not 2xx or told of errors.
    pub failed: usize,
    /// The first of those.
    pub failure: Option<String>,
}

/// As fast as answers come, for `time` on `connections`.
pub async fn flood(post: &Post, connections: usize, time: Duration) -> Result<Outcome> {
    Calls::repeat(post)?.flood(connections, time).await
}

/// `rate` requests a second for `time`, spread over `connections`.
pub async fn pace(post: &Post, connections: usize, rate: f64, time: Duration) -> Result<Outcome> {
    Calls::repeat(post)?.pace(connections, rate, time).await
}

impl<'a> Calls<'a> {
    /// Calls as from many clients, to the door at `origin`.
    pub fn from_many(origin: &str, call: impl Fn(usize) -> Option<Call> + 'a) -> Self {
        Self { origin: origin.to_owned(), call: Box::new(call), made: AtomicUsize::new(0), from_many: true }
    }

    /// Calls of one client, to the door at `origin`.
    pub fn from_one(origin: &str, call: impl Fn(usize) -> Option<Call> + 'a) -> Self {
        Self { from_many: false, ..Self::from_many(origin, call) }
    }

    fn repeat(post: &Post) -> Result<Self> {
        let uri: Uri = post.url.parse()?;
        let origin = format!("http://{}", uri.authority().ok_or("no host")?);
        let call = Call {
            method: Method::POST,
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            headers: post.headers.clone(),
            body: post.body.clone(),
        };
        let call = Box::new(move |_| Some(call.clone()));
        Ok(Self { origin, call, made: AtomicUsize::new(0), from_many: false })
    }

    /// How many were made.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// As fast as answers come, for `time` on `connections`.
    pub async fn flood(&self, connections: usize, time: Duration) -> Result<Outcome> {
        let started = Instant::now();
        self.run(connections, started, async move |_, _| (started.elapsed() < time).then(Instant::now)).await
    }

    /// `rate` requests a second for `time`, spread over `connections`.
    pub async fn pace(&self, connections: usize, rate: f64, time: Duration) -> Result<Outcome> {
        let started = Instant::now();
        let gap = Duration::from_secs_f64(connections as f64 / rate);
        self.run(connections, started, async move |worker, turn| {
            let due = started + gap * turn + gap.mul_f64(worker as f64 / connections as f64);
            tokio::time::sleep_until(due.into()).await;
            (due - started < time).then_some(due)
        })
        .await
    }

    async fn run<N>(&self, connections: usize, started: Instant, next: N) -> Result<Outcome>
    where
        N: AsyncFn(usize, u32) -> Option<Instant>,
    {
        let next = &next;
        let workers = (0..connections).map(async |worker| {
            let mut connection = Connection::open(self).await?;
            let mut all = Outcome { rate: 0.0, delays: Sample::default(), failed: 0, failure: None };
            let mut turn = 0;
            while let Some(due) = next(worker, turn).await {
                turn += 1;
                let Some(call) = (self.call)(self.made.load(Ordering::Relaxed)) else { break };
                self.made.fetch_add(1, Ordering::Relaxed);
                if let Err(failure) = connection.send(call).await? {
                    all.failed += 1;
                    all.failure.get_or_insert(failure);
                }
                all.delays.add(due.elapsed());
                if self.from_many && connection.calls >= CALLS_AN_ADDRESS {
                    connection = Connection::open(self).await?;
                }
            }
            Ok::<_, crate::Error>(all)
        });
        let mut all = Outcome { rate: 0.0, delays: Sample::default(), failed: 0, failure: None };
        for result in futures::future::join_all(workers).await {
            let worker = result?;
            all.delays.merge(worker.delays);
            all.failed += worker.failed;
            all.failure = all.failure.or(worker.failure);
        }
        all.rate = all.delays.count() as f64 / started.elapsed().as_secs_f64();
        Ok(all)
    }
}

struct Connection {
    host: String,
    sender: SendRequest<Full<Bytes>>,
    calls: usize,
}

impl Connection {
    async fn open(calls: &Calls<'_>) -> Result<Self> {
        let uri: Uri = calls.origin.parse()?;
        let host = uri.authority().ok_or("no host")?.to_string();
        let address: SocketAddr = tokio::net::lookup_host(&host).await?.next().ok_or("no address")?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if calls.from_many {
            // All of 127.0.0.0/8 is this machine.
            let [b, c, d]: [u8; 3] = rand::random();
            let own = Ipv4Addr::new(127, b.max(1), c, d.clamp(1, 254));
            socket.bind(SocketAddr::new(IpAddr::V4(own), 0))?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { host, sender, calls: 0 })
    }

    /// What the answer said, if it was not good.
    async fn send(&mut self, call: Call) -> Result<std::result::Result<(), String>> {
        self.calls += 1;
        let mut request = Request::builder().method(call.method).uri(&call.path).header(HOST, &self.host);
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(call.body))?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let good = status.is_success() && !body.windows(9).any(|window| window == b"\"errors\":");
        Ok(if good { Ok(()) } else { Err(format!("{status} {}", String::from_utf8_lossy(&body))) })
    }
}
