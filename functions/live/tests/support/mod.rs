//! A live API of a test's own: DynamoDB and SQS on the emulator that the local stack runs, a real Redis, tokens of an
//! issuer, and a gateway that keeps what sockets were sent.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

#[path = "../../../user/tests/forged/mod.rs"]
pub(crate) mod forged;
mod gateway;

use std::path::Path;
use std::process::Command;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use forged::Issuer;
use futures::{StreamExt, stream};
use live::{Door, FanOut, Greetings, LiveTable, News, SocketAnswer, SocketEvent, Sockets, Turns, receive};
use scratch::{Redis, Server, aws_at, free_port, until};
use serde_json::{Value, json};
use shared::{Cache, Failure, Message, Timestamp};
use user::{AccessTokenVerifier, Parties, VerifyingKeys};
use uuid::Uuid;

pub(crate) use gateway::Gateway;

const TABLE: &str = "live";

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) issuer: Issuer,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) redis: Redis,
    config: SdkConfig,
    queue_url: String,
    _emulator: Server,
}

fn pair() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()
}

/// To the millisecond, as API Gateway tells it.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_timestamp_millis(chrono::Utc::now().timestamp_millis()).unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/venv/bin/ministack");
        assert!(program.exists(), "{} is missing: `make tools` installs it", program.display());
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(program);
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
        let emulator = Server::start(command.env("IOT_MTLS_ENABLED", "0").env("AWS_ENDPOINT_URL", &url));
        let config = aws_at(url);

        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        until("the emulator", async || dynamodb.list_tables().send().await.ok()).await;
        let keys = [("pk", KeyType::Hash), ("sk", KeyType::Range)];
        let create = dynamodb.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
        let attribute = |name| {
            let attribute = AttributeDefinition::builder().attribute_name(name);
            attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
        };
        let element =
            |(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let create =
            create.set_attribute_definitions(Some(keys.iter().map(|(name, _)| attribute(*name)).collect()));
        create.set_key_schema(Some(keys.into_iter().map(element).collect())).send().await.unwrap();

        let ours = pair();
        let issuer = Issuer {
            kid: "2026-02".into(),
            private_pem: ours.serialize_pem(),
            public_pem: ours.public_key_pem(),
            stranger_pem: pair().serialize_pem(),
            issuer: "ev".into(),
            audience: "ev-app".into(),
            subject: "018f0000-0000-7000-8000-000000000001".into(),
            now: now().timestamp(),
        };
        let keys = json!({ "keys": [{ "kid": issuer.kid, "publicKey": issuer.public_pem }] }).to_string();
        let secrets = aws_sdk_secretsmanager::Client::new(&config);
        secrets.create_secret().name("verifying").secret_string(keys).send().await.unwrap();
        let queue = aws_sdk_sqs::Client::new(&config).create_queue().queue_name("live").send().await.unwrap();
        Self {
            gateway: Gateway::open().await,
            issuer,
            dynamodb,
            redis: Redis::start().await,
            config,
            queue_url: queue.queue_url.unwrap(),
            _emulator: emulator,
        }
    }

    pub(crate) fn table(&self) -> LiveTable {
        LiveTable::new(self.dynamodb.clone(), TABLE)
    }

    pub(crate) fn sockets(&self) -> Sockets {
        Sockets::new(&self.config, &self.gateway.url)
    }

    pub(crate) fn door(&self) -> Door {
        self.door_to(&self.queue_url)
    }

    pub(crate) fn door_to(&self, queue_url: &str) -> Door {
        let parties = Parties { issuer: "ev".into(), audience: "ev-app".into() };
        let verifier = AccessTokenVerifier::new(VerifyingKeys::new(&self.config, "verifying"), parties);
        let greetings = Greetings::new(aws_sdk_sqs::Client::new(&self.config), queue_url);
        Door::new(verifier, self.table(), self.sockets(), greetings)
    }

    /// A process of the fan-out.
    pub(crate) fn feed(&self) -> FanOut {
        self.feed_at(self.redis.url())
    }

    pub(crate) fn feed_at(&self, redis: String) -> FanOut {
        FanOut::new(self.table(), self.sockets(), Turns::new(Cache::new(redis)))
    }

    pub(crate) fn token(&self, user: Uuid) -> String {
        self.issuer.with_claims(json!({ "sub": user }))
    }

    /// Dials in; a socket that is let in is open then.
    pub(crate) async fn dial(&self, door: &Door, user: Uuid, socket: &str) -> u16 {
        let event = handshake(socket, &self.token(user), now());
        let status = door.connect(&event, now()).await.unwrap().status_code;
        if status == 200 {
            self.gateway.open_socket(socket);
        }
        status
    }

    /// Open sockets `{prefix}0`, … of a user each.
    pub(crate) async fn open(&self, prefix: &str, count: usize) -> Vec<String> {
        let door = self.door();
        let names: Vec<_> = (0..count).map(|number| format!("{prefix}{number:04}=")).collect();
        let dials = names.iter().map(|name| self.dial(&door, Uuid::now_v7(), name));
        let mut dials = stream::iter(dials).buffer_unordered(16);
        while let Some(status) = dials.next().await {
            assert_eq!(status, 200);
        }
        drop(dials);
        names
    }

    pub(crate) async fn say(&self, socket: &str, text: &str) -> SocketAnswer {
        receive(&self.table(), &self.sockets(), &message(socket, text)).await.unwrap()
    }

    /// What a socket that we know is answered.
    pub(crate) async fn told(&self, socket: &str, text: &str) -> Value {
        let answer = self.say(socket, text).await;
        assert_eq!(answer.status_code, 200);
        serde_json::from_str(&answer.body.unwrap()).unwrap()
    }

    pub(crate) async fn subscribe(&self, socket: &str, station: Uuid) -> Value {
        self.told(socket, &wish("subscribe_station", station)).await
    }

    pub(crate) async fn subscribe_all(&self, sockets: &[String], station: Uuid) {
        let wishes = sockets.iter().map(|socket| self.subscribe(socket, station));
        let mut wishes = stream::iter(wishes).buffer_unordered(16);
        while let Some(answer) = wishes.next().await {
            assert_eq!(answer["event"], "subscribed", "{answer}");
        }
    }

    /// Everything that is kept, by its keys.
    pub(crate) async fn rows(&self) -> Vec<(String, String)> {
        let mut pages = self.dynamodb.scan().table_name(TABLE).into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.unwrap();
            rows.push((item["pk"].as_s().unwrap().clone(), item["sk"].as_s().unwrap().clone()));
        }
        rows.sort();
        rows
    }

    /// What waits in the feed's queue, as its consumer reads it.
    pub(crate) async fn queued(&self) -> Vec<News> {
        let sqs = aws_sdk_sqs::Client::new(&self.config);
        let receive = sqs.receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        let read = |body: &str| {
            let body: Value = serde_json::from_str(body).unwrap();
            News::read(body.pointer(News::FIELDS).unwrap().clone()).unwrap()
        };
        messages.iter().map(|message| read(message.body().unwrap())).collect()
    }
}

pub(crate) fn handshake(socket: &str, token: &str, connected_at: Timestamp) -> SocketEvent {
    serde_json::from_value(json!({
        "queryStringParameters": {"token": token},
        "requestContext": {
            "routeKey": "$connect", "connectionId": socket, "connectedAt": connected_at.timestamp_millis(),
        },
    }))
    .unwrap()
}

pub(crate) fn message(socket: &str, text: &str) -> SocketEvent {
    serde_json::from_value(json!({
        "requestContext": {
            "routeKey": "$default", "connectionId": socket, "connectedAt": now().timestamp_millis(),
        },
        "body": text,
    }))
    .unwrap()
}

pub(crate) fn wish(event: &str, station: Uuid) -> String {
    json!({"event": event, "data": {"stationId": station}}).to_string()
}

/// One event of a connector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update {
    pub(crate) event_id: Uuid,
    pub(crate) station: Uuid,
    pub(crate) connector: Uuid,
    /// By the connector's clock.
    pub(crate) at: Timestamp,
    /// By ours.
    pub(crate) told_at: Timestamp,
}

impl Update {
    pub(crate) fn new(station: Uuid, connector: Uuid, at: Timestamp) -> Self {
        Self { event_id: Uuid::now_v7(), station, connector, at, told_at: now() }
    }

    pub(crate) fn news(&self) -> News {
        let fields = json!({
            "eventId": self.event_id, "eventType": "CONNECTOR_STATUS_CHANGED", "version": 1,
            "timestamp": self.told_at, "source": "charger-service", "correlationId": self.event_id,
            "stationId": self.station, "connectorId": self.connector, "connectorNumber": 1, "chargerId": null,
            "status": "CHARGING", "previousStatus": "PREPARING", "errorCode": null, "at": self.at,
        });
        News::read(fields).unwrap()
    }

    /// Delivers it as the queue does: again, when that was asked for.
    pub(crate) async fn deliver(&self, feed: &FanOut) {
        for _ in 0..100 {
            match feed.deliver(self.news(), now()).await {
                Ok(()) => return,
                Err(Failure::Unavailable(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        panic!("{self:?} was tried in vain");
    }
}
