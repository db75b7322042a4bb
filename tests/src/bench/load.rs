//! Load on one URL over kept-alive connections, bounded in count and time, to loopback only: as fast as answers
//! come, or at a steady rate where a late request counts from when it was due.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::sample::Sample;
use crate::Result;

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

/// What a load came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Answers a second.
    pub rate: f64,
    /// Each answer's delay.
    pub delays: Sample,
    /// Answers that were not 200 or told of errors.
    pub failed: usize,
}

/// As fast as answers come, for `time` on `connections`.
pub async fn flood(post: &Post, connections: usize, time: Duration) -> Result<Outcome> {
    let started = Instant::now();
    run(post, connections, started, async move |_, _| (started.elapsed() < time).then(Instant::now)).await
}

/// `rate` requests a second for `time`, spread over `connections`.
pub async fn pace(post: &Post, connections: usize, rate: f64, time: Duration) -> Result<Outcome> {
    let started = Instant::now();
    let gap = Duration::from_secs_f64(connections as f64 / rate);
    run(post, connections, started, async move |worker, turn| {
        let due = started + gap * turn + gap.mul_f64(worker as f64 / connections as f64);
        tokio::time::sleep_until(due.into()).await;
        (due - started < time).then_some(due)
    })
    .await
}

async fn run<N>(post: &Post, connections: usize, started: Instant, next: N) -> Result<Outcome>
where
    N: AsyncFn(usize, u32) -> Option<Instant>,
{
    let next = &next;
    let workers = (0..connections).map(async |worker| {
        let mut connection = Connection::open(post).await?;
        let (mut delays, mut failed, mut turn) = (Sample::default(), 0, 0);
        while let Some(due) = next(worker, turn).await {
            turn += 1;
            if !connection.send().await? {
                failed += 1;
            }
            delays.add(due.elapsed());
        }
        Ok::<_, crate::Error>((delays, failed))
    });
    let mut all = Outcome { rate: 0.0, delays: Sample::default(), failed: 0 };
    for result in futures::future::join_all(workers).await {
        let (delays, failed) = result?;
        all.delays.merge(delays);
        all.failed += failed;
    }
    all.rate = all.delays.count() as f64 / started.elapsed().as_secs_f64();
    Ok(all)
}

struct Connection<'a> {
    post: &'a Post,
    uri: Uri,
    sender: SendRequest<Full<Bytes>>,
}

impl<'a> Connection<'a> {
    async fn open(post: &'a Post) -> Result<Self> {
        let uri: Uri = post.url.parse()?;
        let stream = TcpStream::connect(uri.authority().ok_or("no host")?.as_str()).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { post, uri, sender })
    }

    /// Whether the answer was good.
    async fn send(&mut self) -> Result<bool> {
        let host = self.uri.authority().map(ToString::to_string).unwrap_or_default();
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path).header(HOST, host).header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.post.headers {
            request = request.header(name, value);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(self.post.body.clone()))?).await?;
        let good = response.status().is_success();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(good && !body.windows(9).any(|window| window == b"\"errors\":"))
    }
}
