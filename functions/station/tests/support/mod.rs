//! The functions of this crate as real processes, on real stores of the test's own, which may be stopped and started; of
//! AWS only what they ask: secrets and the bus.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

#[path = "../../../user/tests/forged/mod.rs"]
mod forged;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use forged::Issuer;
use lambda_host::{Host, Invoke, Options};
use local_template::{Resource, Stack};
use scratch::{CLUSTER, DataApi, Postgres, SECRET, free_port, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::ocm_server::{Behaviour, Catalogue, OcmServer};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const OCM_SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:ocm";
const MONGO_SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:mongo";
const VERIFYING_SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:verifying";

/// Everything, until it is dropped.
pub(crate) struct World {
    pub(crate) ocm: OcmServer,
    pub(crate) sql: tokio_postgres::Client,
    pub(crate) redis: redis::Connection,
    pub(crate) mongo_server: Switched,
    pub(crate) redis_server: Switched,
    host: Arc<Host>,
    published: Published,
    issuer: Issuer,
    _servers: (DataApi, Postgres, TempDir),
}

/// A server that may be stopped, and started where and with what it was; gone with the test.
pub(crate) struct Switched {
    port: u16,
    command: Command,
    running: Option<Child>,
}

/// What a REST route answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u64,
    /// By names in lower case.
    pub(crate) headers: Value,
    pub(crate) body: Value,
}

type Published = Arc<Mutex<Vec<Value>>>;

impl World {
    /// On an empty, migrated database, beside an OpenChargeMap with the real POIs.
    pub(crate) async fn new() -> Self {
        Self::beside(Catalogue::real().unwrap()).await
    }

    /// On an empty, migrated database, beside an OpenChargeMap with those POIs.
    pub(crate) async fn beside(catalogue: Catalogue) -> Self {
        let key = Uuid::new_v4();
        let behaviour = Behaviour { key: Some(key), ..Behaviour::default() };
        let ocm = OcmServer::start(catalogue, behaviour, 0).await.unwrap();
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let data_api = DataApi::open(&postgres).await;
        let folder = TempDir::new().unwrap();
        let (redis_server, mongo_server) = (redis_server().await, mongo_server(folder.path()).await);
        let redis_url = format!("redis://127.0.0.1:{}", redis_server.port);
        let issuer = issuer();
        let secrets = BTreeMap::from([
            (OCM_SECRET.to_owned(), json!({ "url": ocm.url(), "key": key })),
            (
                MONGO_SECRET.to_owned(),
                json!({ "uri": format!("mongodb://127.0.0.1:{}/", mongo_server.port), "database": "mirror" }),
            ),
            (
                VERIFYING_SECRET.to_owned(),
                json!({ "keys": [{ "kid": issuer.kid, "publicKey": issuer.public_pem }] }),
            ),
        ]);
        let published = Published::default();
        let aws = aws(secrets, Arc::clone(&published)).await;
        let mut options = Options::new(Path::new(env!("CARGO_BIN_EXE_sync-ocm")).parent().unwrap());
        options.extra_env = [
            ("AWS_ENDPOINT_URL", aws.as_str()),
            ("AWS_ENDPOINT_URL_RDS_DATA", &data_api.url),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-central-1"),
            ("CLUSTER_ARN", CLUSTER),
            ("DATABASE_SECRET_ARN", SECRET),
            ("DATABASE_NAME", "postgres"),
            ("EVENT_BUS_NAME", "bus"),
            ("REDIS_URL", &redis_url),
            ("JWT_VERIFYING_SECRET_ARN", VERIFYING_SECRET),
            ("JWT_ISSUER", &issuer.issuer),
            ("JWT_AUDIENCE", &issuer.audience),
            ("MONGO_SECRET_ARN", MONGO_SECRET),
            ("OCM_SECRET_ARN", OCM_SECRET),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        options.logs = Arc::new(|line| println!("{line:?}"));
        let host = Host::from_stack(&stack(), options).await.unwrap();
        Self {
            ocm,
            sql: postgres.connect().await,
            redis: redis::Client::open(redis_url).unwrap().get_connection().unwrap(),
            mongo_server,
            redis_server,
            host,
            published,
            issuer,
            _servers: (data_api, postgres, folder),
        }
    }

    /// What a function answers; a failed invocation fails the test.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> Value {
        let outcome = self.host.invoke(function, Bytes::from(event.to_string())).await.unwrap();
        let answer = serde_json::from_slice(&outcome.payload).unwrap();
        assert_eq!(outcome.function_error, None, "{answer}");
        answer
    }

    /// What a query's resolver answers.
    pub(crate) async fn query(&self, function: &str, field: &str, arguments: Value) -> Value {
        let event =
            json!({ "arguments": arguments, "info": { "fieldName": field }, "request": { "headers": {} } });
        self.invoke(function, &event).await
    }

    /// What a driver is answered who sends the sample of a REST route with that path and query.
    pub(crate) async fn rest(&self, function: &str, path: &Value, query: &str) -> Answer {
        let token = format!("Bearer {}", self.issuer.good());
        self.rest_as(Some(&token), function, path, query).await
    }

    /// [`World::rest`] with another `Authorization`, or none.
    pub(crate) async fn rest_as(
        &self,
        authorization: Option<&str>,
        function: &str,
        path: &Value,
        query: &str,
    ) -> Answer {
        let sample = format!("{}/../../events/{function}.json", env!("CARGO_MANIFEST_DIR"));
        let mut event: Value = serde_json::from_str(&std::fs::read_to_string(sample).unwrap()).unwrap();
        event["pathParameters"] = path.clone();
        event["rawQueryString"] = json!(query);
        event["headers"]["authorization"] = json!(authorization.unwrap_or_default());
        let answer = self.invoke(function, &event).await;
        Answer {
            status: answer["statusCode"].as_u64().unwrap(),
            headers: answer["headers"].clone(),
            body: serde_json::from_str(answer["body"].as_str().unwrap()).unwrap(),
        }
    }

    /// `redis://…`
    pub(crate) fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis_server.port)
    }

    /// The details of all events the bus was given.
    pub(crate) fn published(&self) -> Vec<Value> {
        self.published.lock().unwrap().clone()
    }
}

impl Switched {
    async fn new(port: u16, command: Command) -> Self {
        let mut server = Self { port, command, running: None };
        server.start().await;
        server
    }

    /// Takes connections again, and knows what it kept on a disk.
    pub(crate) async fn start(&mut self) {
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(self.command.spawn().unwrap());
        let port = self.port;
        until("a server", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    }

    /// Refuses connections.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.running.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Takes connections and says nothing, until it is woken.
    pub(crate) fn put_to_sleep(&self) {
        self.signal("-STOP");
    }

    /// Answers again.
    pub(crate) fn wake(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.running.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The MongoDB stand-in.
async fn mongo_server(folder: &Path) -> Switched {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/tools/bin/secantusd-rs");
    assert!(program.exists(), "{} is missing: `make tools` installs it", program.display());
    let port = free_port();
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--storage-path"]).arg(folder).current_dir(folder);
    Switched::new(port, command).await
}

/// A Redis that keeps nothing.
async fn redis_server() -> Switched {
    let port = free_port();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.current_dir(std::env::temp_dir());
    Switched::new(port, command).await
}

/// Of tokens that are good for as long as a test takes.
fn issuer() -> Issuer {
    let pair = || rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ours = pair();
    Issuer {
        kid: "2026-02".into(),
        private_pem: ours.serialize_pem(),
        public_pem: ours.public_key_pem(),
        stranger_pem: pair().serialize_pem(),
        issuer: "ev".into(),
        audience: "ev-app".into(),
        subject: "018f0000-0000-7000-8000-000000000001".into(),
        now: chrono::Utc::now().timestamp(),
    }
}

/// Secrets Manager and EventBridge, as far as these functions use them.
async fn aws(secrets: BTreeMap<String, Value>, published: Published) -> String {
    type Known = Arc<(BTreeMap<String, Value>, Published)>;
    let known: Known = Arc::new((secrets, published));
    let answer = async |State(known): State<Known>, headers: HeaderMap, body: Bytes| {
        let request: Value = serde_json::from_slice(&body).unwrap();
        Json(match headers["x-amz-target"].to_str().unwrap() {
            "secretsmanager.GetSecretValue" => {
                let arn = request["SecretId"].as_str().unwrap();
                json!({ "ARN": arn, "Name": "test", "SecretString": known.0[arn].to_string() })
            }
            "AWSEvents.PutEvents" => {
                let entries = request["Entries"].as_array().unwrap();
                let details = entries
                    .iter()
                    .map(|entry| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap());
                known.1.lock().unwrap().extend(details);
                let taken: Vec<Value> =
                    entries.iter().map(|_| json!({ "EventId": Uuid::new_v4() })).collect();
                json!({ "FailedEntryCount": 0, "Entries": taken })
            }
            other => panic!("nobody should ask for {other}"),
        })
    };
    let router = Router::new().route("/", post(answer)).with_state(known);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn stack() -> Stack {
    let resources = ["sync-ocm", "nearby-stations", "get-station", "rest-get-station", "rest-list-stations"].map(|name| {
        let resource = Resource {
            logical_id: name.to_owned(),
            kind: "AWS::Serverless::Function".to_owned(),
            physical_id: name.to_owned(),
            properties: json!({
                "CodeUri": format!("target/lambda/{name}/"), "Handler": "bootstrap", "Runtime": "provided.al2023",
                "Timeout": 120, "MemorySize": 512,
            }),
            attributes: BTreeMap::from([(
                "Arn".to_owned(),
                format!("arn:aws:lambda:eu-central-1:000000000000:function:{name}"),
            )]),
        };
        (name.to_owned(), resource)
    });
    Stack { name: "test".to_owned(), resources: resources.into(), outputs: BTreeMap::new() }
}
