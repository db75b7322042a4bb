//! The provider of the tests: PyPI's localstripe as a process, and a door before it that loses what it is told to lose.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use payment::PaymentStatus;
use scratch::{Server, free_port, until};
use serde_json::Value;
use shared::PaymentId;
use tokio::net::{TcpListener, TcpStream};

/// A running localstripe that keeps nothing.
pub(crate) struct LocalStripe {
    pub(crate) url: String,
    http: reqwest::Client,
    _server: Server,
}

impl LocalStripe {
    /// One that tells `webhook` (address and secret) of what happens.
    pub(crate) async fn start(webhook: Option<(&str, &str)>) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let port = free_port();
        let mut command = Command::new(root.join(".local/venv/bin/python"));
        command.arg(root.join("tests/tools/localstripe")).args(["--port", &port.to_string()]);
        if let Some((url, secret)) = webhook {
            command.args(["--webhook-url", url, "--webhook-secret", secret]);
        }
        let server = Server::start(&mut command);
        until("localstripe", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        Self { url: format!("http://127.0.0.1:{port}"), http: reqwest::Client::new(), _server: server }
    }

    /// A request as the provider's app library makes it, or as its dashboard.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let request =
            self.http.post(format!("{}/v1/{path}", self.url)).bearer_auth("sk_test_1234").form(form);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let request = self.http.get(format!("{}/v1/{path}", self.url)).bearer_auth("sk_test_1234");
        let list: Value = request.send().await.unwrap().json().await.unwrap();
        list["data"].as_array().unwrap().clone()
    }

    pub(crate) async fn intents(&self) -> Vec<Value> {
        self.list("payment_intents?limit=100000").await
    }

    pub(crate) async fn refunds(&self) -> Vec<Value> {
        self.list("refunds?limit=100000").await
    }

    /// How often, and with how much altogether, a payment's card was charged.
    pub(crate) async fn charges_of(&self, payment: PaymentId) -> (usize, i64) {
        let intents = self.intents().await;
        let is_charge = |intent: &&Value| {
            intent["metadata"]["payment_id"] == payment.to_string() && intent["status"] == "succeeded"
        };
        let charges: Vec<_> = intents.iter().filter(is_charge).collect();
        (charges.len(), charges.iter().map(|intent| intent["amount"].as_i64().unwrap()).sum())
    }

    /// A card whose bank wants to hear from the driver, and then declines or not.
    pub(crate) async fn secure_card(&self, declines: bool) -> String {
        let number = if declines { "4000008260003178" } else { "4000002500003155" };
        let form = [
            ("type", "card"),
            ("card[number]", number),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2030"),
            ("card[cvc]", "123"),
        ];
        self.post("payment_methods", &form).await["id"].as_str().unwrap().to_owned()
    }

    /// The driver answers the bank.
    pub(crate) async fn authenticate(&self, client_secret: &str, success: bool) {
        let intent = client_secret.split_once("_secret_").unwrap().0;
        let success = if success { "true" } else { "false" };
        let form = [("client_secret", client_secret), ("success", success)];
        self.post(&format!("payment_intents/{intent}/_authenticate"), &form).await;
    }
}

/// What the door does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nobody ever answers, and the provider never heard.
    LostRequest,
    /// Nobody ever answers, and the provider did it.
    LostAnswer,
    /// Answers by itself.
    Answer(u16, Value),
    /// The provider did it, but says this.
    AnswerAfter(u16, Value),
}

type Rule = (Method, &'static str, Fault);

#[derive(Default)]
struct Door {
    rules: Vec<Rule>,
    /// `POST /v1/refunds`, with its idempotency key.
    seen: Vec<(String, Option<String>)>,
    struck: usize,
}

/// The door; everything passes unless told otherwise.
pub(crate) struct Proxy {
    pub(crate) url: String,
    door: Arc<Mutex<Door>>,
}

impl Proxy {
    pub(crate) async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let door = Arc::new(Mutex::new(Door::default()));
        let state = (Arc::clone(&door), upstream.to_owned(), reqwest::Client::new());
        let router = axum::Router::new().fallback(pass).with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, door }
    }

    /// The next request of that method whose path ends so meets `fault`.
    pub(crate) fn fail(&self, method: Method, path_end: &'static str, fault: Fault) {
        self.door.lock().unwrap().rules.push((method, path_end, fault));
    }

    /// How many faults were met.
    pub(crate) fn struck(&self) -> usize {
        self.door.lock().unwrap().struck
    }

    /// All requests whose line contains `part`, with their idempotency keys.
    pub(crate) fn seen(&self, part: &str) -> Vec<(String, Option<String>)> {
        self.door.lock().unwrap().seen.iter().filter(|(line, _)| line.contains(part)).cloned().collect()
    }
}

type Passage = (Arc<Mutex<Door>>, String, reqwest::Client);

async fn pass(State((door, upstream, http)): State<Passage>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let fault = {
        let mut door = door.lock().unwrap();
        let key = parts.headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        door.seen.push((format!("{} {}", parts.method, parts.uri), key));
        let found =
            door.rules.iter().position(|(method, end, _)| *method == parts.method && path.ends_with(end));
        let fault = found.map(|index| door.rules.remove(index).2);
        if matches!(fault, Some(Fault::LostRequest | Fault::Answer(..))) {
            door.struck += 1;
        }
        fault
    };
    let answer =
        |status: u16, body: Value| (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
    match fault {
        Some(Fault::LostRequest) => return std::future::pending().await,
        Some(Fault::Answer(status, body)) => return answer(status, body),
        _ => {}
    }
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let onward =
        http.request(parts.method, format!("{upstream}{}", parts.uri)).headers(parts.headers).body(body);
    let response = onward.send().await.unwrap();
    let (status, body) = (response.status(), response.bytes().await.unwrap());
    match fault {
        Some(Fault::LostAnswer) => {
            door.lock().unwrap().struck += 1;
            std::future::pending().await
        }
        Some(Fault::AnswerAfter(status, body)) => {
            door.lock().unwrap().struck += 1;
            answer(status, body)
        }
        _ => (status, body).into_response(),
    }
}
