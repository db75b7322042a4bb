//! A door before the payment provider that loses requests and answers, and what the provider itself says it did.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;
use crate::prove::dice::Dice;
use crate::stack::Stack;

/// Of the requests that charge a card.
const LOST_REQUESTS: f64 = 0.15;
const LOST_ANSWERS: f64 = 0.3;

/// The provider, as it is without the door.
pub(super) struct Provider {
    url: String,
    key: String,
    door: Arc<Door>,
}

struct Door {
    /// The provider's host and port.
    upstream: String,
    dice: Arc<Dice>,
    at_most: usize,
    /// By the path of the request.
    losses: Mutex<BTreeMap<String, usize>>,
    client: Client<HttpConnector, Full<Bytes>>,
    requests: AtomicUsize,
    answers: AtomicUsize,
}

impl Provider {
    /// Opens the door, and has the stack's functions go through it: none of them has charged anything yet.
    /// Of the requests that charge one card, at most `at_most` are lost.
    pub(super) async fn behind_door(stack: &Stack, dice: &Arc<Dice>, at_most: usize) -> Result<Self> {
        let arn = stack.functions.iter().find_map(|function| function.variables.get("PAYMENT_SECRET_ARN"));
        let arn = arn.ok_or("no payment secret")?;
        let mut secret: Value = serde_json::from_str(&stack.secret(arn).await?)?;
        let url = secret["url"].as_str().ok_or("the provider has no address")?.to_owned();
        let key = secret["apiKey"].as_str().ok_or("the provider has no key")?.to_owned();
        let door = Arc::new(Door {
            upstream: url.trim_start_matches("http://").to_owned(),
            dice: Arc::clone(dice),
            at_most,
            losses: Mutex::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            requests: AtomicUsize::default(),
            answers: AtomicUsize::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        secret["url"] = json!(format!("http://{}", listener.local_addr()?));
        let opened = Arc::clone(&door);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(connection(socket, Arc::clone(&opened)));
            }
        });
        stack.set_secret(arn, &secret.to_string()).await?;
        Ok(Self { url, key, door })
    }

    /// How many requests, and how many answers, were lost.
    pub(super) fn lost(&self) -> (usize, usize) {
        (self.door.requests.load(Ordering::Relaxed), self.door.answers.load(Ordering::Relaxed))
    }

    /// All `payment_intents`, `charges` or `refunds`.
    pub(super) async fn all(&self, of: &str) -> Result<Vec<Value>> {
        let url = format!("{}/v1/{of}?limit=100000", self.url);
        let request = reqwest::Client::new().get(url).basic_auth(&self.key, Some(""));
        let list: Value = request.send().await?.json().await?;
        Ok(list["data"].as_array().ok_or_else(|| format!("no {of}: {list}"))?.clone())
    }
}

async fn connection(socket: TcpStream, door: Arc<Door>) {
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move {
            let served = door.serve(request).await;
            served.map_err(|broken| std::io::Error::other(broken.to_string()))
        }
    });
    // It ends when something is lost, or its other side does.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

impl Door {
    fn loses(&self, path: &str, share: f64) -> bool {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = losses.entry(path.to_owned()).or_default();
        let loses = *so_far < self.at_most && self.dice.chance(share);
        *so_far += usize::from(loses);
        loses
    }

    /// The answer; an error breaks the connection.
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let charges = request.method() == Method::POST && request.uri().path().ends_with("/confirm");
        let asked = request.uri().path().to_owned();
        if charges && self.loses(&asked, LOST_REQUESTS) {
            self.requests.fetch_add(1, Ordering::Relaxed);
            return Err("the request is lost, as planned".into());
        }
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("http://{}{path}", self.upstream).parse()?;
        parts.headers.remove(CONTENT_LENGTH);
        let request = Request::from_parts(parts, Full::new(body.collect().await?.to_bytes()));
        let (mut parts, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        if charges && self.loses(&asked, LOST_ANSWERS) {
            self.answers.fetch_add(1, Ordering::Relaxed);
            return Err("the answer is lost, as planned".into());
        }
        parts.headers.remove(TRANSFER_ENCODING);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(Response::from_parts(parts, Full::new(body)))
    }
}
