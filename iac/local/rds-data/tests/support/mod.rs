//! A PostgreSQL of the test's own, the Data API before it, and the AWS client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::needless_pass_by_value, dead_code)]

use std::net::TcpListener as StdListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_rdsdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_rdsdata::types::{Field, SqlParameter, TypeHint};
use rds_data::{Cluster, Config, DataApi};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const CLUSTER: &str = "arn:aws:rds:eu-central-1:000000000000:cluster:test";
pub(crate) const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:test";

const BIN: &str = "/usr/lib/postgresql/15/bin";

/// PostgreSQL refuses to run as root, so there it runs as `postgres`.
fn postgres(program: &str) -> Command {
    let path = format!("{BIN}/{program}");
    let uid = Command::new("id").arg("-u").output().unwrap().stdout;
    if uid.trim_ascii() != b"0" {
        return Command::new(path);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", &path]);
    command
}

fn run(command: &mut Command) {
    let status =
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success(), "{command:?}");
}

fn free_port() -> u16 {
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) struct Postgres {
    folder: TempDir,
    pub(crate) port: u16,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().to_owned();
        let data = path.join("data");
        if Path::new("/root").metadata().is_ok() && postgres("x").get_program() == "runuser" {
            run(Command::new("chown").arg("postgres").arg(&path));
        }
        run(postgres("initdb")
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-D"])
            .arg(&data));
        let started = Self { folder, port: free_port() };
        started.up();
        started
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn up(&self) {
        let socket = self.folder.path().display();
        let options =
            format!("-F -p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={socket}", self.port);
        run(postgres("pg_ctl").args(["-w", "-o", &options, "start", "-D"]).arg(self.data()));
    }

    pub(crate) fn down(&self) {
        run(postgres("pg_ctl").args(["-w", "-m", "immediate", "stop", "-D"]).arg(self.data()));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = postgres("pg_ctl")
            .args(["-m", "immediate", "stop", "-D"])
            .arg(self.data())
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

pub(crate) struct Stack {
    pub(crate) postgres: Postgres,
    pub(crate) client: Client,
    pub(crate) endpoint: String,
    _stop: tokio_util::sync::DropGuard,
}

pub(crate) async fn stack() -> Stack {
    stack_with(|_| {}).await
}

pub(crate) async fn stack_with(adjust: impl FnOnce(&mut Config)) -> Stack {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let mut connect = tokio_postgres::Config::new();
    connect.host("127.0.0.1").port(postgres.port).user("postgres").connect_timeout(Duration::from_secs(5));
    let cluster = Cluster { secret_arn: SECRET.to_owned(), database: "postgres".to_owned() };
    let mut config = Config::new(connect, CLUSTER, cluster);
    adjust(&mut config);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let (api, shutdown) = (DataApi::new(config), stop.clone());
    tokio::spawn(async move { api.serve(listener, shutdown).await });
    let config = aws_sdk_rdsdata::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&endpoint)
        .build();
    Stack { postgres, client: Client::from_conf(config), endpoint, _stop: stop.drop_guard() }
}

pub(crate) type Answer = Result<ExecuteStatementOutput, Refusal>;

/// An exception's name and message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String, pub(crate) String);

pub(crate) fn refusal<E: ProvideErrorMetadata + std::fmt::Debug>(error: SdkError<E>) -> Refusal {
    let name = error.code().unwrap_or_else(|| panic!("no code in {error:?}")).to_owned();
    Refusal(name, error.message().unwrap_or_default().to_owned())
}

impl Stack {
    pub(crate) async fn sql(&self, sql: &str, parameters: Vec<SqlParameter>) -> Answer {
        self.sql_in(None, sql, parameters).await
    }

    pub(crate) async fn sql_in(
        &self,
        transaction: Option<&str>,
        sql: &str,
        parameters: Vec<SqlParameter>,
    ) -> Answer {
        self.client
            .execute_statement()
            .resource_arn(CLUSTER)
            .secret_arn(SECRET)
            .sql(sql)
            .set_transaction_id(transaction.map(str::to_owned))
            .set_parameters(Some(parameters))
            .send()
            .await
            .map_err(refusal)
    }

    /// The first record.
    pub(crate) async fn row(&self, sql: &str, parameters: Vec<SqlParameter>) -> Vec<Field> {
        self.sql(sql, parameters).await.unwrap().records().first().cloned().unwrap()
    }

    /// The first field of the first record.
    pub(crate) async fn one(&self, sql: &str, parameters: Vec<SqlParameter>) -> Field {
        self.row(sql, parameters).await.remove(0)
    }

    pub(crate) async fn begin(&self) -> String {
        let begun =
            self.client.begin_transaction().resource_arn(CLUSTER).secret_arn(SECRET).send().await.unwrap();
        begun.transaction_id().unwrap().to_owned()
    }

    pub(crate) async fn commit(&self, id: &str) -> Result<String, Refusal> {
        let call =
            self.client.commit_transaction().resource_arn(CLUSTER).secret_arn(SECRET).transaction_id(id);
        call.send().await.map(|done| done.transaction_status().unwrap().to_owned()).map_err(refusal)
    }

    pub(crate) async fn rollback(&self, id: &str) -> Result<String, Refusal> {
        let call =
            self.client.rollback_transaction().resource_arn(CLUSTER).secret_arn(SECRET).transaction_id(id);
        call.send().await.map(|done| done.transaction_status().unwrap().to_owned()).map_err(refusal)
    }
}

pub(crate) fn value(name: &str, value: Field) -> SqlParameter {
    SqlParameter::builder().name(name).value(value).build()
}

pub(crate) fn text(name: &str, text: &str) -> SqlParameter {
    value(name, Field::StringValue(text.to_owned()))
}

pub(crate) fn long(name: &str, long: i64) -> SqlParameter {
    value(name, Field::LongValue(long))
}

pub(crate) fn hinted(name: &str, text: &str, hint: TypeHint) -> SqlParameter {
    SqlParameter::builder().name(name).value(Field::StringValue(text.to_owned())).type_hint(hint).build()
}

pub(crate) fn string(text: &str) -> Field {
    Field::StringValue(text.to_owned())
}

pub(crate) fn refused(name: &str, message: &str) -> Refusal {
    Refusal(name.to_owned(), message.to_owned())
}
