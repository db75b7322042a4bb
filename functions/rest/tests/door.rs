//! Who gets in, and what a request is told, whatever its handler does.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../user/tests/forged/mod.rs"]
mod forged;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, Router};
use forged::{Issuer, corpus};
use rest::{Door, Reply, Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{Caller, Failure, Role, Timestamp};
use tokio::net::TcpListener;
use user::{AccessTokenVerifier, Parties, VerifyingKeys};

const NOW: i64 = 1_770_000_000;
const CORRELATION: &str = "018f4c6e-2a8b-7c11-9d52-3f6b1f0a7c44";

fn pair() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()
}

struct World {
    issuer: Issuer,
    door: Door,
    /// Whether the secret of the keys can be read.
    has_keys: Arc<AtomicBool>,
}

impl World {
    async fn new() -> Self {
        let ours = pair();
        let issuer = Issuer {
            kid: "2026-02".into(),
            private_pem: ours.serialize_pem(),
            public_pem: ours.public_key_pem(),
            stranger_pem: pair().serialize_pem(),
            issuer: "ev".into(),
            audience: "ev-app".into(),
            subject: "018f0000-0000-7000-8000-000000000001".into(),
            now: NOW,
        };
        let keys = json!({ "keys": [{ "kid": issuer.kid, "publicKey": issuer.public_pem }] }).to_string();
        let has_keys = Arc::new(AtomicBool::new(true));
        let secrets = secrets(keys, Arc::clone(&has_keys)).await;
        let parties = Parties { issuer: "ev".into(), audience: "ev-app".into() };
        let verifier = AccessTokenVerifier::new(VerifyingKeys::new(&config(&secrets), "verifying"), parties);
        Self { issuer, door: Door::new(verifier), has_keys }
    }

    /// What somebody with that header is answered.
    async fn ask(&self, authorization: Option<&str>, body: &str) -> Response {
        let now = Timestamp::from_timestamp(NOW, 0).unwrap();
        self.door.answer(&handler, request(authorization, body), now).await
    }

    async fn ask_as_driver(&self, body: &str) -> Response {
        self.ask(Some(&format!("Bearer {}", self.issuer.good())), body).await
    }
}

#[derive(Deserialize)]
struct Arguments {
    wish: String,
}

async fn handler(caller: Caller, Arguments { wish }: Arguments) -> Result<Reply<Value>, Failure> {
    match wish.as_str() {
        "panic" => panic!("password=hunter2"),
        "fault" => Err(Failure::fault("password=hunter2")),
        "operate" => caller.with_role(Role::Operator).map(|_| Reply::of(json!({}))),
        "age" => Ok(Reply::of(json!({})).with(axum::http::header::AGE, 7)),
        _ => Ok(Reply::of(json!({
            "user": caller.user()?.id, "sourceIp": caller.source_ip, "correlationId": caller.correlation_id,
            "at": caller.at.timestamp(),
        }))),
    }
}

fn request(authorization: Option<&str>, body: &str) -> Request {
    let mut event = json!({
        "version": "2.0", "routeKey": "POST /v1/wishes", "rawPath": "/v1/wishes", "rawQueryString": "",
        "headers": { "content-type": "application/json", "x-correlation-id": CORRELATION },
        "requestContext": {
            "http": { "method": "POST", "path": "/v1/wishes", "sourceIp": "203.0.113.9" },
            "routeKey": "POST /v1/wishes", "timeEpoch": 0,
        },
        "body": body, "isBase64Encoded": false,
    });
    if let Some(authorization) = authorization {
        event["headers"]["authorization"] = json!(authorization);
    }
    serde_json::from_value(event).unwrap()
}

fn told(response: &Response) -> (u16, Value) {
    (response.status().as_u16(), serde_json::from_str(response.body()).unwrap())
}

fn code(response: &Response) -> (u16, String) {
    let (status, body) = told(response);
    assert_eq!(body["error"]["requestId"], CORRELATION);
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_driver_is_known_by_the_token() {
    let world = World::new().await;
    let (status, body) = told(&world.ask_as_driver(r#"{"wish":""}"#).await);
    assert_eq!(
        (status, body),
        (
            200,
            json!({ "success": true, "data": {
            "user": world.issuer.subject, "sourceIp": "203.0.113.9", "correlationId": CORRELATION, "at": NOW,
        } })
        )
    );
    let aged = world.ask_as_driver(r#"{"wish":"age"}"#).await;
    assert_eq!(
        (&aged.headers()["age"], &aged.headers()["x-correlation-id"]),
        (&"7".parse().unwrap(), &CORRELATION.parse().unwrap())
    );
}

#[tokio::test]
async fn nobody_else_gets_in_and_nobody_is_told_what_is_wrong_with_a_request_before() {
    let world = World::new().await;
    let without = world.ask(None, "not JSON").await;
    assert_eq!(code(&without), (401, "UNAUTHENTICATED".into()));
    assert_eq!(without.headers()["www-authenticate"], "Bearer");
    for (what, token) in corpus(&world.issuer) {
        let refused = world.ask(Some(&format!("Bearer {token}")), "not JSON").await;
        assert_eq!(code(&refused), (401, "UNAUTHENTICATED".into()), "{what}");
        assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"), "{what}");
    }
}

#[tokio::test]
async fn a_request_fails_alone_and_tells_nothing_of_why() {
    let world = World::new().await;
    for wish in ["panic", "fault"] {
        let response = world.ask_as_driver(&json!({ "wish": wish }).to_string()).await;
        assert_eq!(code(&response), (500, "INTERNAL".into()));
        assert!(!response.body().contains("hunter2"));
    }
    assert_eq!(code(&world.ask_as_driver(r#"{"wish":"operate"}"#).await), (403, "FORBIDDEN".into()));
    assert_eq!(code(&world.ask_as_driver("{}").await), (400, "INVALID".into()));
    assert_eq!(code(&world.ask_as_driver(r#"{"wish":"","more":1}"#).await), (400, "INVALID".into()));
    let large = format!(r#"{{"wish":"{}"}}"#, "a".repeat(rest::MAX_BODY_BYTES));
    assert_eq!(code(&world.ask_as_driver(&large).await), (413, "BODY_TOO_LARGE".into()));
    assert_eq!(told(&world.ask_as_driver(r#"{"wish":""}"#).await).0, 200);
}

#[tokio::test]
async fn without_keys_nobody_is_turned_away_as_a_stranger() {
    let world = World::new().await;
    world.has_keys.store(false, Ordering::Relaxed);
    let response = world.ask_as_driver(r#"{"wish":""}"#).await;
    assert_eq!(code(&response), (503, "UNAVAILABLE".into()));
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_webhook_needs_no_token_and_has_its_body_as_it_was_sent() {
    let accept = async |caller: Caller, request: Request| {
        assert!(caller.user.is_none());
        match request.header("X-Correlation-Id") {
            Some(CORRELATION) if request.body() == b"{ \"a\": 1 }" => {
                Ok(Reply::accepted(json!({ "accepted": true })))
            }
            _ => Err(Failure::Unauthenticated("the signature is wrong")),
        }
    };
    let now = Timestamp::from_timestamp(NOW, 0).unwrap();
    let taken = rest::open_answer(&accept, request(None, "{ \"a\": 1 }"), now).await;
    assert_eq!(told(&taken), (202, json!({ "success": true, "data": { "accepted": true } })));
    let refused = rest::open_answer(&accept, request(None, "{}"), now).await;
    assert_eq!(code(&refused), (401, "UNAUTHENTICATED".into()));
    assert!(!refused.headers().contains_key("www-authenticate"), "a token would not help");
    let large = rest::open_answer(&accept, request(None, &"a".repeat(rest::MAX_BODY_BYTES + 1)), now).await;
    assert_eq!(code(&large), (413, "BODY_TOO_LARGE".into()));
}

fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build()
}

/// Secrets Manager with the verifying keys.
async fn secrets(keys: String, has_keys: Arc<AtomicBool>) -> String {
    let answer = async |State((keys, has_keys)): State<(String, Arc<AtomicBool>)>| {
        if has_keys.load(Ordering::Relaxed) {
            (StatusCode::OK, Json(json!({ "ARN": "verifying", "SecretString": keys })))
        } else {
            (StatusCode::BAD_REQUEST, Json(json!({ "__type": "ResourceNotFoundException" })))
        }
    };
    let router = Router::new().fallback(answer).with_state((keys, has_keys));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
