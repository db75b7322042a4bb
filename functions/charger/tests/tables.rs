//! The DynamoDB tables, on the emulator that the local stack runs (`.local/venv/bin/ministack`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use axum::Json;
use axum::http::StatusCode;
use charger::{
    Answers, Call, CallTable, Calls, Connection, ConnectionTable, Connections, Enqueued, Kept, Protocol,
    Purpose, Registration, TIMEOUT,
};
use chrono::TimeDelta;
use scratch::{Server, free_port, until};
use serde_json::json;
use shared::{SessionId, Timestamp};
use support::{charge_point, connection};

struct Emulator {
    client: Client,
    _server: Server,
}

impl Emulator {
    async fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/venv/bin/ministack");
        assert!(program.exists(), "{} is missing: `make tools` installs it", program.display());
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(program);
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
        let server = Server::start(command.env("IOT_MTLS_ENABLED", "0").env("AWS_ENDPOINT_URL", &url));
        let client = client(url);
        until("the emulator", async || client.list_tables().send().await.ok()).await;
        Self { client, _server: server }
    }

    async fn table(&self, name: &str, keys: &[&str]) {
        let attribute = |key: &&str| {
            AttributeDefinition::builder()
                .attribute_name(*key)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap()
        };
        let element = |(place, key): (usize, &&str)| {
            let kind = if place == 0 { KeyType::Hash } else { KeyType::Range };
            KeySchemaElement::builder().attribute_name(*key).key_type(kind).build().unwrap()
        };
        self.client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(keys.iter().map(attribute).collect()))
            .set_key_schema(Some(keys.iter().enumerate().map(element).collect()))
            .send()
            .await
            .unwrap();
    }
}

fn client(url: String) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url)
        .build();
    Client::from_conf(config)
}

fn call(message_id: &str, asked_at: Timestamp) -> Call {
    Call {
        message_id: message_id.into(),
        action: "RemoteStartTransaction".into(),
        payload: "{}".into(),
        purpose: Purpose::Start(SessionId::new()),
        asked_at,
    }
}

#[tokio::test]
async fn the_tables_keep_what_the_traits_promise() {
    let emulator = Emulator::start().await;
    emulator.table("connections", &["pk"]).await;
    emulator.table("calls", &["pk", "sk"]).await;
    sockets(&emulator).await;
    let calls = CallTable::new(emulator.client.clone(), "calls");
    queue(&calls).await;
    answers(&calls).await;
}

async fn sockets(emulator: &Emulator) {
    // Two processes: what one remembers, the other has to read.
    let here = ConnectionTable::new(emulator.client.clone(), "connections");
    let there = ConnectionTable::new(emulator.client.clone(), "connections");
    let now = chrono::DateTime::from_timestamp_millis(chrono::Utc::now().timestamp_millis()).unwrap();
    let old = Connection {
        connected_at: now,
        registration: Registration::Pending,
        ..connection(Protocol::Ocpp201)
    };
    let new = Connection { id: "socket-2".into(), ..old.clone() };
    assert_eq!(here.open(&old).await.unwrap(), None);
    assert_eq!(there.find("socket-1").await.unwrap(), Some(old.clone()));
    here.register(&old, Registration::Accepted).await.unwrap();
    assert_eq!(there.find("socket-1").await.unwrap().unwrap().registration, Registration::Accepted);

    assert_eq!(here.open(&new).await.unwrap().as_deref(), Some("socket-1"));
    assert_eq!(there.of(&charge_point()).await.unwrap().unwrap().id, "socket-2");
    here.close(&old).await.unwrap();
    assert_eq!(here.find("socket-1").await.unwrap(), None);
    assert_eq!(there.of(&charge_point()).await.unwrap().unwrap().id, "socket-2");
    here.close(&new).await.unwrap();
    assert_eq!(there.of(&charge_point()).await.unwrap(), None);

    // A socket of longer ago than any lives is none, whether or not its item was swept yet.
    let dead = Connection { connected_at: now - TimeDelta::hours(3), ..old };
    here.open(&dead).await.unwrap();
    assert_eq!(here.of(&charge_point()).await.unwrap(), None);
}

async fn queue(calls: &CallTable) {
    let charger = &charge_point();
    let now = chrono::Utc::now();
    let second = now + TimeDelta::seconds(1);
    let (first_call, second_call) = (call("b", now), call("a", second));
    assert_eq!(calls.next(charger, now).await.unwrap(), None);
    assert_eq!(calls.enqueue(charger, &second_call, now).await.unwrap(), Enqueued::New);
    assert_eq!(calls.enqueue(charger, &first_call, now).await.unwrap(), Enqueued::New);
    assert_eq!(calls.enqueue(charger, &first_call, now).await.unwrap(), Enqueued::Repeated);

    for _ in 0..2 {
        assert_eq!(calls.next(charger, now).await.unwrap(), Some(first_call.clone()));
        assert_eq!(calls.next(charger, now).await.unwrap(), None);
        calls.put_back(charger, &first_call).await.unwrap();
    }
    assert_eq!(calls.next(charger, now).await.unwrap(), Some(first_call.clone()));
    assert_eq!(calls.outstanding(charger).await.unwrap().unwrap().call, first_call);
    calls.settle(charger, "another").await.unwrap();
    assert_eq!(calls.outstanding(charger).await.unwrap().unwrap().deadline, now + TIMEOUT);

    let late = now + TIMEOUT + TimeDelta::seconds(1);
    assert!(calls.overdue(now).await.unwrap().is_empty());
    let overdue = calls.overdue(late).await.unwrap();
    assert_eq!((overdue.len(), overdue[0].message_id.as_str()), (1, "b"));
    // An overdue call gives way even before it is expired, and its expiry then takes nobody else's place.
    assert_eq!(calls.next(charger, late).await.unwrap(), Some(second_call.clone()));
    calls.expire(&overdue[0]).await.unwrap();
    assert_eq!(calls.outstanding(charger).await.unwrap().unwrap().call, second_call);
    assert!(calls.overdue(late).await.unwrap().is_empty());

    calls.settle(charger, "a").await.unwrap();
    assert_eq!(calls.outstanding(charger).await.unwrap(), None);
    assert!(calls.overdue(late + TIMEOUT + TIMEOUT).await.unwrap().is_empty());
    assert_eq!(calls.enqueue(charger, &second_call, late).await.unwrap(), Enqueued::Repeated);
    assert_eq!(calls.next(charger, late).await.unwrap(), None);
}

async fn answers(calls: &CallTable) {
    let charger = &charge_point();
    let now = chrono::Utc::now();
    let kept = |digest: &str, frame: &str| Kept {
        digest: digest.into(),
        frame: frame.into(),
        expires_at: now + TimeDelta::minutes(1),
    };
    assert_eq!(calls.keep(charger, "1", &kept("x", "first"), now).await.unwrap(), None);
    let again = calls.keep(charger, "1", &kept("x", "second"), now).await.unwrap();
    assert_eq!(again.as_deref(), Some("first"));
    // Another message by the same id, and the same one after its time.
    assert_eq!(calls.keep(charger, "1", &kept("y", "third"), now).await.unwrap(), None);
    let later = now + TimeDelta::minutes(2);
    assert_eq!(calls.keep(charger, "1", &kept("y", "fourth"), later).await.unwrap(), None);
}

/// A table whose transactions are cancelled for the reasons given, one after the other.
async fn cancelling(reasons: &'static [&'static str]) -> CallTable {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let cancel = async move || match reasons.get(asked.fetch_add(1, Ordering::Relaxed)) {
        None => (StatusCode::OK, Json(json!({}))),
        Some(reason) => {
            let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
            let reasons = json!([{ "Code": "None" }, { "Code": reason }]);
            let body = json!({ "__type": kind, "Message": "cancelled", "CancellationReasons": reasons });
            (StatusCode::BAD_REQUEST, Json(body))
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(cancel)).await });
    CallTable::new(client(url), "calls")
}

#[tokio::test]
async fn a_call_is_not_taken_for_asked_because_dynamodb_was_busy() {
    let (charger, now) = (&charge_point(), chrono::Utc::now());
    let enqueue = async |reasons| cancelling(reasons).await.enqueue(charger, &call("a", now), now).await;
    assert_eq!(enqueue(&["ConditionalCheckFailed"]).await.unwrap(), Enqueued::Repeated);
    assert_eq!(enqueue(&["TransactionConflict"]).await.unwrap(), Enqueued::New);
    assert!(enqueue(&["ThrottlingError"; 9]).await.unwrap_err().retryable());
}
