//! A real PostgreSQL with the migrations behind the Data API's door, and a real Redis; of AWS only what accounts ask:
//! the signing key and the bus.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::{Json, Router};
use chrono::TimeDelta;
use scratch::{CLUSTER, DataApi, Postgres, Redis, SECRET, aws_at};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::{Cache, Caller, CorrelationId, Database, Failure, Outbox, Role, Timestamp, User, UserId};
use tokio::net::TcpListener;
use user::{Parties, RegistrationLimit, TokenIssuer};

pub(crate) const PASSWORD: &str = "SecurePass123";

/// Everything, until it is dropped.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) cache: Cache,
    pub(crate) issuer: TokenIssuer,
    pub(crate) sql: tokio_postgres::Client,
    published: Published,
    servers: (DataApi, Postgres, Redis),
}

type Published = Arc<Mutex<Vec<Value>>>;

/// A logged-in account.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) refresh_token: String,
    /// As the app was told of it.
    pub(crate) user: Value,
}

/// Noon of the day on which all tests take place.
pub(crate) fn noon() -> Timestamp {
    "2026-02-21T12:00:00Z".parse().unwrap()
}

/// So many seconds after noon.
pub(crate) fn after(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation)]
    let milliseconds = (seconds * 1000.0) as i64;
    noon() + TimeDelta::milliseconds(milliseconds)
}

pub(crate) fn caller(user: Option<UserId>, at: Timestamp) -> Caller {
    Caller {
        user: user.map(|id| User { id, roles: vec![Role::Driver] }),
        correlation_id: CorrelationId::new(),
        source_ip: Some("203.0.113.9".into()),
        at,
    }
}

pub(crate) fn arguments<A: DeserializeOwned>(json: Value) -> A {
    shared::read_fields(json).unwrap()
}

/// The code of a conflict, the field of what is invalid, the name of any other failure.
pub(crate) fn told<T>(result: Result<T, Failure>) -> String {
    match result {
        Ok(_) => "done".into(),
        Err(Failure::Conflict { code, .. }) => code.into(),
        Err(Failure::Invalid { field, .. }) => field.into(),
        Err(failure) => {
            assert!(!matches!(failure, Failure::Fault(_)), "{}", failure.causes());
            failure.error_type().into()
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::before(async |door| door).await
    }

    /// Each statement is run twice, since the first answer is lost.
    pub(crate) async fn with_lost_answers() -> Self {
        Self::before(twice).await
    }

    async fn before(entrance: impl AsyncFnOnce(String) -> String) -> Self {
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let (door, redis) = (DataApi::open(&postgres).await, Redis::start().await);
        let published = Published::default();
        let aws = aws_at(aws(Arc::clone(&published)).await);
        let data = aws_sdk_rdsdata::Client::new(&aws_at(entrance(door.url.clone()).await));
        let database = Database::new(data, CLUSTER, SECRET, "postgres");
        let parties = Parties { issuer: "ev".into(), audience: "ev-app".into() };
        Self {
            outbox: Outbox::new(database.clone(), aws_sdk_eventbridge::Client::new(&aws), "bus"),
            database,
            cache: Cache::new(redis.url()),
            issuer: TokenIssuer::new(&aws, "signing", parties),
            sql: postgres.connect().await,
            published,
            servers: (door, postgres, redis),
        }
    }

    /// A new driver.
    pub(crate) async fn account(&self, name: &str) -> Account {
        let input = json!({
            "email": format!("{name}@example.com"), "name": "John Doe", "password": PASSWORD,
            "vehicle": { "brand": "Tesla", "model": "Model 3", "batteryCapacity": 75 },
        });
        // From nowhere: the tests' accounts are not limited.
        let caller = Caller { source_ip: None, ..caller(None, noon()) };
        account(&self.register(&caller, input).await.unwrap())
    }

    pub(crate) async fn register(&self, caller: &Caller, input: Value) -> Result<Value, Failure> {
        let (limit, request) = (RegistrationLimit::from_env(), arguments(json!({ "input": input })));
        let tokens = user::register(&self.outbox, &self.cache, limit, &self.issuer, caller, request).await?;
        Ok(serde_json::to_value(tokens).unwrap())
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Result<Account, Failure> {
        let request = arguments(json!({ "input": { "email": email, "password": password } }));
        let caller = caller(None, noon());
        let tokens = user::login(&self.database, &self.cache, &self.issuer, &caller, request).await?;
        Ok(account(&serde_json::to_value(tokens).unwrap()))
    }

    /// The refresh token that `token` is traded for.
    pub(crate) async fn refresh(&self, token: &str, at: Timestamp) -> Result<String, Failure> {
        let request = arguments(json!({ "refreshToken": token }));
        let tokens = user::refresh(&self.database, &self.issuer, &caller(None, at), request).await?;
        Ok(serde_json::to_value(tokens).unwrap()["refreshToken"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn delete(&self, owner: UserId, input: Value) -> Result<bool, Failure> {
        let request = arguments(json!({ "input": input }));
        user::delete_account(&self.outbox, &self.cache, &caller(Some(owner), after(60.0)), request).await
    }

    pub(crate) async fn me(&self, owner: UserId) -> Result<Value, Failure> {
        let account = user::me(&self.database, &caller(Some(owner), noon())).await?;
        Ok(serde_json::to_value(account).unwrap())
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap();
    }

    /// Another client of the database, for what happens at the same time.
    pub(crate) async fn beside(&self) -> tokio_postgres::Client {
        self.servers.1.connect().await
    }

    /// Until a statement waits for somebody else's lock.
    pub(crate) async fn until_one_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        scratch::until("a statement that waits", async || (self.count(waiting).await > 0).then_some(()))
            .await;
    }

    /// The one number that a query gives.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.sql.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// The one text that a query gives.
    pub(crate) async fn text(&self, sql: &str) -> String {
        self.sql.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Refresh tokens of an account that are good at a moment.
    pub(crate) async fn live(&self, owner: UserId, at: Timestamp) -> i64 {
        self.count(&format!(
            "SELECT count(*) FROM refresh_tokens
             WHERE user_id = '{owner}' AND used_at IS NULL AND revoked_at IS NULL AND expires_at > '{at}'"
        ))
        .await
    }

    /// The events of a type that the bus was given, each of which its schema allows.
    pub(crate) fn published(&self, event_type: &str) -> Vec<Value> {
        let path = format!("{}/../../events/schemas/{event_type}.json", env!("CARGO_MANIFEST_DIR"));
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let all = self.published.lock().unwrap().clone();
        let events: Vec<_> = all.into_iter().filter(|event| event["eventType"] == event_type).collect();
        for event in &events {
            jsonschema::validate(&schema, event).unwrap();
        }
        events
    }
}

fn account(tokens: &Value) -> Account {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Account {
        id: text(&tokens["user"]["id"]).parse().unwrap(),
        email: text(&tokens["user"]["email"]),
        refresh_token: text(&tokens["refreshToken"]),
        user: tokens["user"].clone(),
    }
}

/// A way to `door` on which every request goes twice, and the first answer gets lost.
async fn twice(door: String) -> String {
    let http = reqwest::Client::new();
    let answer = move |uri: Uri, mut headers: HeaderMap, body: Bytes| async move {
        headers.remove("host");
        let request = http.post(format!("{door}{uri}")).headers(headers).body(body);
        request.try_clone().unwrap().send().await.unwrap().bytes().await.unwrap();
        let answer = request.send().await.unwrap();
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove("transfer-encoding");
        (status, headers, answer.bytes().await.unwrap())
    };
    serve(Router::new().fallback(answer)).await
}

/// Secrets Manager with a signing key, and EventBridge.
async fn aws(published: Published) -> String {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let secret = json!({ "kid": "2026-02", "privateKey": pair.serialize_pem() }).to_string();
    let known = Arc::new((secret, published));
    let answer = async |State(known): State<Arc<(String, Published)>>, headers: HeaderMap, body: String| {
        let request: Value = serde_json::from_str(&body).unwrap();
        Json(match headers["x-amz-target"].to_str().unwrap() {
            "secretsmanager.GetSecretValue" => json!({ "ARN": "signing", "SecretString": known.0 }),
            "AWSEvents.PutEvents" => {
                let entries = request["Entries"].as_array().unwrap();
                let details = entries
                    .iter()
                    .map(|entry| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap());
                known.1.lock().unwrap().extend(details);
                let taken = vec![json!({ "EventId": "taken" }); entries.len()];
                json!({ "FailedEntryCount": 0, "Entries": taken })
            }
            other => panic!("nobody should ask for {other}"),
        })
    };
    serve(Router::new().fallback(answer).with_state(known)).await
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
