//! The functions of this crate as real processes, on real stores of the test's own; of AWS only what they ask:
//! secrets and the bus.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use lambda_host::{Host, Invoke, Options};
use local_template::{Resource, Stack};
use scratch::{CLUSTER, DataApi, Postgres, Redis, SECRET, Server, free_port, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::ocm_server::{Behaviour, Catalogue, OcmServer};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const OCM_SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:ocm";
const MONGO_SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:mongo";

/// Everything, until it is dropped.
pub(crate) struct World {
    pub(crate) ocm: OcmServer,
    pub(crate) sql: tokio_postgres::Client,
    pub(crate) redis: redis::Connection,
    host: Arc<Host>,
    published: Published,
    _servers: (DataApi, Postgres, Redis, Server, TempDir),
}

type Published = Arc<Mutex<Vec<Value>>>;

impl World {
    /// On an empty, migrated database, beside an OpenChargeMap with the real POIs.
    pub(crate) async fn new() -> Self {
        let key = Uuid::new_v4();
        let behaviour = Behaviour { key: Some(key), ..Behaviour::default() };
        let ocm = OcmServer::start(Catalogue::real().unwrap(), behaviour, 0).await.unwrap();
        let scripts = migrate::MIGRATIONS.iter().map(|migration| migration.sql);
        let postgres = Postgres::with_schema(scripts, env!("CARGO_TARGET_TMPDIR")).await;
        let data_api = DataApi::open(&postgres).await;
        let redis = Redis::start().await;
        let folder = TempDir::new().unwrap();
        let (mongo, mongo_port) = mongo(folder.path()).await;
        let secrets = BTreeMap::from([
            (OCM_SECRET.to_owned(), json!({ "url": ocm.url(), "key": key })),
            (
                MONGO_SECRET.to_owned(),
                json!({ "uri": format!("mongodb://127.0.0.1:{mongo_port}/"), "database": "mirror" }),
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
            ("REDIS_URL", &redis.url()),
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
            redis: redis::Client::open(redis.url()).unwrap().get_connection().unwrap(),
            host,
            published,
            _servers: (data_api, postgres, redis, mongo, folder),
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

    /// The details of all events the bus was given.
    pub(crate) fn published(&self) -> Vec<Value> {
        self.published.lock().unwrap().clone()
    }
}

/// The MongoDB stand-in and its port.
async fn mongo(folder: &Path) -> (Server, u16) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/tools/bin/secantusd-rs");
    assert!(program.exists(), "{} is missing: `make tools` installs it", program.display());
    let port = free_port();
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--storage-path"]).arg(folder);
    let server = Server::start(command.current_dir(folder));
    until("the MongoDB stand-in", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    (server, port)
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
    let resources = ["sync-ocm", "nearby-stations", "get-station"].map(|name| {
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
