//! What may go wrong between a function and the database or the bus: proxies that refuse a request, lose its answer,
//! delay it, or kill whoever sent it, as a plan decides. Without a plan they only pass on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::http::response::Parts as AnswerParts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use super::processes::{self, Process};
use super::put_events;
use crate::{Error, Result};

/// What a request is for, as its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A statement that may write.
    Write,
    /// Reading what the outbox has not published.
    Due,
    /// `PutEvents`.
    Put,
    /// Noting what was published.
    Mark,
}

/// One request that passes by.
#[derive(Debug)]
pub(super) struct Call {
    /// What it is for.
    pub(super) step: Step,
    /// The function's process it came from; none for a program that the stack did not start.
    pub(super) caller: Option<Process>,
    /// What the caller calls itself, in `User-Agent`.
    pub(super) agent: String,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Passed on, and answered.
    Pass,
    /// Passed on after a while.
    Delay(Duration),
    /// The connection breaks, nothing is passed on.
    Refuse,
    /// HTTP 503, nothing is passed on.
    Unavailable,
    /// Told to come back later, nothing is passed on.
    Throttle,
    /// Passed on and done, and the connection breaks before the answer.
    LoseAnswer,
    /// Of several events the bus takes these (bit by bit) and no other.
    TakeSome(u16),
    /// Nothing is passed on, and the caller dies.
    KillBefore,
    /// Passed on, and the caller dies at that moment.
    KillMeanwhile,
    /// Passed on and done, and the caller dies before it hears.
    KillAfter,
}

impl Fate {
    /// Every moment of a request at which its caller can die.
    pub(super) const DEATHS: [Self; 3] = [Self::KillBefore, Self::KillMeanwhile, Self::KillAfter];
}

/// Decides on each request.
pub(super) type Plan = Arc<dyn Fn(&Call) -> Fate + Send + Sync>;

/// Both proxies of a stack.
pub(super) struct Faults {
    /// Stands for the RDS Data API.
    pub(super) database: SocketAddr,
    /// Stands for EventBridge.
    pub(super) bus: SocketAddr,
    shared: Arc<Shared>,
}

/// Told of a caller that is to die and is no process of the stack.
type Deaths = Arc<dyn Fn(&Call) + Send + Sync>;

struct Shared {
    plan: RwLock<Option<Plan>>,
    deaths: RwLock<Option<Deaths>>,
    /// The stack's own process.
    parent: AtomicU32,
    done: Mutex<BTreeMap<&'static str, u64>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Faults {
    /// Listens before the Data API and the AWS services at these ports, which need not answer yet.
    pub(super) async fn open(data_api: u16, aws: u16) -> Result<Self> {
        let shared = Arc::new(Shared {
            plan: RwLock::default(),
            deaths: RwLock::default(),
            parent: AtomicU32::default(),
            done: Mutex::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        });
        let (database, bus) = (listen(data_api, &shared).await?, listen(aws, &shared).await?);
        Ok(Self { database, bus, shared })
    }

    /// Whose children may be killed.
    pub(super) fn of_stack(&self, pid: u32) {
        self.shared.parent.store(pid, Ordering::Relaxed);
    }

    /// From now on, this happens.
    pub(super) fn follow(&self, plan: impl Fn(&Call) -> Fate + Send + Sync + 'static) {
        *self.shared.plan.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(plan));
    }

    /// Whoever is to die and is no process of the stack is ended by this.
    pub(super) fn end_others(&self, deaths: impl Fn(&Call) + Send + Sync + 'static) {
        *self.shared.deaths.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(deaths));
    }

    /// From now on, nothing goes wrong.
    pub(super) fn calm(&self) {
        *self.shared.plan.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How often each thing was done: `kills`, `lost answers`, …
    pub(super) fn done(&self) -> BTreeMap<&'static str, u64> {
        self.shared.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many processes were killed.
    pub(super) fn kills(&self) -> u64 {
        self.done().get("kills").copied().unwrap_or_default()
    }
}

/// Serves one proxy for ever.
async fn listen(upstream: u16, shared: &Arc<Shared>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        while let Ok((socket, peer)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(connection(socket, (peer.port(), address.port()), upstream, shared));
        }
    });
    Ok(address)
}

async fn connection(socket: TcpStream, ports: (u16, u16), upstream: u16, shared: Arc<Shared>) {
    // A small answer must not wait for a full packet.
    let _ = socket.set_nodelay(true);
    // Looked up by the first request that somebody decides on: the look costs a millisecond.
    let caller: Arc<OnceLock<Option<Process>>> = Arc::default();
    let service = service_fn(move |request| {
        let (shared, caller) = (Arc::clone(&shared), Arc::clone(&caller));
        async move {
            let served = shared.serve(request, ports, &caller, upstream).await;
            served.map_err(|broken| std::io::Error::other(broken.to_string()))
        }
    });
    // It ends when a plan breaks it, or its other side does.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

impl Shared {
    /// The answer; an error breaks the connection.
    async fn serve(
        &self,
        request: Request<Incoming>,
        (from, to): (u16, u16),
        caller: &OnceLock<Option<Process>>,
        upstream: u16,
    ) -> Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(told)?.to_bytes();
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let step = step(target, &body);
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut fate, mut call) = (Fate::Pass, None);
        if let (Some(plan), Some(step)) = (plan, step) {
            let parent = self.parent.load(Ordering::Relaxed);
            let caller = caller.get_or_init(|| processes::caller(parent, from, to)).clone();
            let agent = parts.headers.get("user-agent").and_then(|agent| agent.to_str().ok());
            let passing = Call { step, caller, agent: agent.unwrap_or_default().to_owned() };
            fate = plan(&passing);
            call = Some(passing);
        }
        let forward = |body| self.forward(parts, body, upstream);
        match fate {
            Fate::Pass => {}
            Fate::Delay(_) => self.count("delays"),
            Fate::Refuse | Fate::Unavailable => self.count("refusals"),
            Fate::Throttle => self.count("throttles"),
            Fate::LoseAnswer => self.count("lost answers"),
            Fate::TakeSome(_) => self.count("partly taken"),
            Fate::KillBefore | Fate::KillMeanwhile | Fate::KillAfter => {}
        }
        match fate {
            Fate::Pass => forward(body).await.map(answered),
            Fate::Delay(time) => {
                tokio::time::sleep(time).await;
                forward(body).await.map(answered)
            }
            Fate::Refuse => Err("refused, as planned".into()),
            Fate::Unavailable => Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException")),
            Fate::Throttle => Ok(refusal(StatusCode::TOO_MANY_REQUESTS, "ThrottlingException")),
            Fate::LoseAnswer => {
                forward(body).await?;
                Err("answer lost, as planned".into())
            }
            Fate::TakeSome(which) => {
                let Some((some, refused)) = put_events::some(&body, which) else {
                    return forward(body).await.map(answered);
                };
                let (parts, answer) = forward(some).await?;
                Ok(answered((parts, put_events::answer(&answer, &refused)?)))
            }
            Fate::KillBefore => {
                self.kill(call.as_ref());
                Err("the caller was killed, as planned".into())
            }
            Fate::KillMeanwhile => {
                let (passed_on, ()) = tokio::join!(forward(body), async { self.kill(call.as_ref()) });
                passed_on.and(Err("the caller was killed, as planned".into()))
            }
            Fate::KillAfter => {
                forward(body).await?;
                self.kill(call.as_ref());
                Err("the caller was killed, as planned".into())
            }
        }
    }

    async fn forward(&self, mut parts: Parts, body: Bytes, upstream: u16) -> Result<(AnswerParts, Bytes)> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("http://127.0.0.1:{upstream}{path}").parse()?;
        parts.headers.remove(hyper::header::CONTENT_LENGTH);
        let request = Request::from_parts(parts, Full::new(body));
        let (parts, body) = self.client.request(request).await.map_err(told)?.into_parts();
        Ok((parts, body.collect().await.map_err(told)?.to_bytes()))
    }

    fn kill(&self, call: Option<&Call>) {
        let Some(call) = call else { return };
        match &call.caller {
            Some(victim) if processes::kill(self.parent.load(Ordering::Relaxed), victim) => {
                self.count("kills")
            }
            Some(_) => {}
            None => {
                if let Some(end) = &*self.deaths.read().unwrap_or_else(PoisonError::into_inner) {
                    end(call);
                }
            }
        }
    }

    fn count(&self, what: &'static str) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }
}

fn answered((mut parts, body): (AnswerParts, Bytes)) -> Response<Full<Bytes>> {
    parts.headers.remove(hyper::header::TRANSFER_ENCODING);
    parts.headers.insert(hyper::header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, Full::new(body))
}

/// The error as this crate tells errors: by itself, so that the compiler need not find the way.
fn told(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Box::new(error)
}

/// None for a request that is of no interest: another AWS service's.
fn step(target: Option<&str>, body: &[u8]) -> Option<Step> {
    let says = |words: &str| body.windows(words.len()).any(|window| window == words.as_bytes());
    match target {
        Some("AWSEvents.PutEvents") => Some(Step::Put),
        Some(_) => None,
        None if says("UPDATE outbox SET published_at") => Some(Step::Mark),
        None if says("FROM outbox") => Some(Step::Due),
        None => Some(Step::Write),
    }
}

fn refusal(status: StatusCode, kind: &'static str) -> Response<Full<Bytes>> {
    let body = format!(r#"{{"__type":"{kind}","message":"as planned"}}"#);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}
