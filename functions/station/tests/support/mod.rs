//! The functions of this crate as real processes, on real stores of the test's own; of AWS only what they ask:
//! secrets and the bus.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::BTreeMap;
use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use lambda_host::{Host, Invoke, Options};
use local_template::{Resource, Stack};
use rds_data::{Cluster, Config, DataApi};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::ocm_server::{Behaviour, Catalogue, OcmServer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const CLUSTER: &str = "arn:aws:rds:eu-central-1:000000000000:cluster:test";
const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:";

/// Everything, until it is dropped.
pub(crate) struct World {
    pub(crate) ocm: OcmServer,
    pub(crate) sql: tokio_postgres::Client,
    pub(crate) redis: redis::Connection,
    host: Arc<Host>,
    published: Published,
    stores: Stores,
}

type Published = Arc<Mutex<Vec<Value>>>;

struct Stores {
    postgres_data: PathBuf,
    redis: Child,
    mongo: Child,
    folder: TempDir,
}

impl World {
    /// On an empty, migrated database, beside an OpenChargeMap with the real POIs.
    pub(crate) async fn new() -> Self {
        let key = Uuid::new_v4();
        let behaviour = Behaviour { key: Some(key), ..Behaviour::default() };
        let ocm = OcmServer::start(Catalogue::real().unwrap(), behaviour, 0).await.unwrap();
        let [postgres, redis_port, mongo] = [free_port(), free_port(), free_port()];
        let stores = Stores::start(postgres, redis_port, mongo);
        let sql = migrated(postgres).await;
        let secrets = BTreeMap::from([
            (format!("{SECRET}ocm"), json!({ "url": ocm.url(), "key": key })),
            (
                format!("{SECRET}mongo"),
                json!({ "uri": format!("mongodb://127.0.0.1:{mongo}/"), "database": "mirror" }),
            ),
        ]);
        let published = Published::default();
        let aws = aws(secrets, Arc::clone(&published)).await;
        let data_api = data_api(postgres).await;
        let mut options = Options::new(Path::new(env!("CARGO_BIN_EXE_sync-ocm")).parent().unwrap());
        options.extra_env = [
            ("AWS_ENDPOINT_URL", aws.as_str()),
            ("AWS_ENDPOINT_URL_RDS_DATA", &data_api),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-central-1"),
            ("CLUSTER_ARN", CLUSTER),
            ("DATABASE_SECRET_ARN", &format!("{SECRET}database")),
            ("DATABASE_NAME", "postgres"),
            ("EVENT_BUS_NAME", "bus"),
            ("REDIS_URL", &format!("redis://127.0.0.1:{redis_port}")),
            ("MONGO_SECRET_ARN", &format!("{SECRET}mongo")),
            ("OCM_SECRET_ARN", &format!("{SECRET}ocm")),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        options.logs = Arc::new(|line| println!("{line:?}"));
        let host = Host::from_stack(&stack(), options).await.unwrap();
        let redis = redis::Client::open(format!("redis://127.0.0.1:{redis_port}")).unwrap();
        let redis = waited("Redis", || redis.get_connection().ok());
        Self { ocm, sql, redis, host, published, stores }
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

impl Stores {
    fn start(postgres: u16, redis: u16, mongo: u16) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        let quiet = |program: &Path, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(path).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
        };
        let redis_port = redis.to_string();
        let arguments = ["--port", &redis_port, "--bind", "127.0.0.1", "--save", ""];
        let redis = quiet(Path::new("redis-server"), &arguments);
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/tools/bin/secantusd-rs");
        assert!(program.exists(), "the MongoDB stand-in is not installed: {}", program.display());
        let storage = path.join("mongo");
        let arguments = ["--port", &mongo.to_string(), "--storage-path", storage.to_str().unwrap()];
        let mongo = quiet(&program, &arguments);
        let postgres_data = path.join("postgres/data");
        std::fs::create_dir(path.join("postgres")).unwrap();
        if is_root() {
            run(Command::new("chmod").arg("755").arg(path));
            run(Command::new("chown").arg("postgres").arg(path.join("postgres")));
        }
        let options = ["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-D"];
        run(pg("initdb").args(options).arg(&postgres_data));
        let sockets = path.join("postgres");
        let settings = format!(
            "-F -p {postgres} -c listen_addresses=127.0.0.1 -c unix_socket_directories={}",
            sockets.display()
        );
        run(pg("pg_ctl").args(["-w", "-o", &settings, "start", "-D"]).arg(&postgres_data));
        Self { postgres_data, redis, mongo, folder }
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        for process in [&mut self.redis, &mut self.mongo] {
            let _ = process.kill();
            let _ = process.wait();
        }
        let mut stop = pg("pg_ctl");
        stop.args(["-m", "immediate", "stop", "-D"]).arg(&self.postgres_data).current_dir("/");
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// PostgreSQL refuses to run as root, so there it runs as `postgres`.
fn pg(program: &str) -> Command {
    let path = format!("/usr/lib/postgresql/15/bin/{program}");
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", &path]);
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0"
}

fn run(command: &mut Command) {
    let command = command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn free_port() -> u16 {
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn waited<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn migrated(port: u16) -> tokio_postgres::Client {
    let address = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for migration in migrate::MIGRATIONS {
        client.batch_execute(migration.sql).await.unwrap();
    }
    client
}

async fn data_api(postgres: u16) -> String {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres).user("postgres");
    let cluster = Cluster { secret_arn: format!("{SECRET}database"), database: "postgres".to_owned() };
    let api = DataApi::new(Config::new(config, CLUSTER, cluster));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { api.serve(listener, CancellationToken::new()).await });
    url
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
