//! The running stack: its addresses, as `local` wrote them down, and what an engineer may look at behind the doors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::NoTls;

use crate::Result;
use crate::graphql::{Auth, Client};

/// Where everything listens.
#[derive(Debug, Clone)]
pub struct Stack {
    /// The app's endpoint.
    pub graphql_url: String,
    /// The same over TLS, for clients that insist.
    pub graphql_tls_url: String,
    /// Where the certificate of that is.
    pub certificate: String,
    /// Where the app subscribes.
    pub realtime_url: String,
    /// For calls without a login.
    pub api_key: String,
    /// The HTTP API.
    pub http_url: String,
    /// Where a charger dials; its identity follows.
    pub ocpp_url: String,
    /// Where a web front end dials the live feed; `?token=` follows.
    pub live_url: String,
    /// Lambda's Invoke API.
    pub lambda_url: String,
    /// Queues, tables, bus and secrets.
    pub aws_url: String,
    /// Of PostgreSQL.
    pub postgres_url: String,
    /// Of Redis.
    pub redis_url: String,
    /// Of the mirror.
    pub mongo_url: String,
    /// The database, in PostgreSQL and in the mirror.
    pub database_name: String,
    /// `MongoDB …`, or which stand-in.
    pub mongo_kind: String,
    /// From the command to the table of addresses.
    pub started_in: Duration,
    /// Physical ids by logical id.
    pub resources: BTreeMap<String, String>,
    /// The functions, in the order of their binaries' names.
    pub functions: Vec<Function>,
    /// The RDS Data API.
    pub data_api_url: String,
    /// The process that runs it all.
    pub pid: u32,
    /// The folder of its databases, keys and logs.
    pub data: PathBuf,
}

/// A function as the stack runs it.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its binary.
    pub binary: String,
    /// What it finds in its environment, Lambda's own variables aside.
    pub variables: BTreeMap<String, String>,
}

/// `stack.json`, as far as it is read here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StackFile {
    pid: u32,
    started_in_ms: u64,
    addresses: Addresses,
    api_key: Option<String>,
    certificate: Option<String>,
    stores: Stores,
    resources: BTreeMap<String, String>,
    functions: BTreeMap<String, FunctionEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionEntry {
    code_uri: String,
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Addresses {
    graphql: String,
    graphql_tls: String,
    realtime: String,
    http_api: String,
    ocpp: String,
    live: String,
    lambda: String,
    data_api: String,
    aws: String,
}

#[derive(Deserialize)]
struct Stores {
    postgres: Store,
    redis: Store,
    mongo: Store,
}

#[derive(Deserialize)]
struct Store {
    kind: String,
    url: String,
}

impl Stack {
    /// The repository's root.
    pub fn root() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    /// The stack that `EV_STACK` names, or the one of `make up`.
    pub fn running() -> Result<Self> {
        let path = std::env::var_os("EV_STACK")
            .map_or_else(|| Self::root().join(".local/data/stack.json"), PathBuf::from);
        Self::read(&path)
            .map_err(|error| format!("no stack is up ({error}): run this under `local run`").into())
    }

    /// The stack that wrote the file `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file: StackFile = serde_json::from_str(&text)?;
        let StackFile { pid, started_in_ms, addresses, api_key, certificate, stores, resources, functions } =
            file;
        let binary = |uri: &str| uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        let mut functions: Vec<_> = functions
            .into_values()
            .map(|entry| Function { binary: binary(&entry.code_uri), variables: entry.variables })
            .collect();
        functions.sort_by(|a, b| a.binary.cmp(&b.binary));
        Ok(Self {
            graphql_url: addresses.graphql,
            graphql_tls_url: addresses.graphql_tls,
            certificate: certificate.unwrap_or_default(),
            realtime_url: addresses.realtime,
            api_key: api_key.unwrap_or_default(),
            http_url: addresses.http_api,
            ocpp_url: addresses.ocpp,
            live_url: addresses.live,
            lambda_url: addresses.lambda,
            aws_url: addresses.aws,
            database_name: stores.postgres.url.rsplit('/').next().unwrap_or_default().to_owned(),
            postgres_url: stores.postgres.url,
            redis_url: stores.redis.url,
            mongo_url: stores.mongo.url,
            mongo_kind: stores.mongo.kind,
            data_api_url: addresses.data_api,
            data: path.parent().unwrap_or(Path::new(".")).to_owned(),
            started_in: Duration::from_millis(started_in_ms),
            resources,
            functions,
            pid,
        })
    }

    /// Everything that this run of the stack logged, functions included.
    pub fn log(&self) -> PathBuf {
        self.data.join("logs/stack.log")
    }

    /// GraphQL with the API key alone.
    pub fn public(&self) -> Client {
        Client::new(&self.graphql_url, Auth::ApiKey(self.api_key.clone()))
    }

    /// What the function of a binary is called: its logical id is the binary's name in camel case.
    pub fn function_name(&self, binary: &str) -> Option<&str> {
        let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
        let id: String = binary.split('-').map(capital).collect();
        self.resources.get(&id).map(String::as_str)
    }

    /// Where the function of a binary is invoked.
    pub fn invoke_url(&self, binary: &str) -> Result<String> {
        let name = self.function_name(binary).ok_or_else(|| format!("the stack has no function {binary}"))?;
        Ok(format!("{}/2015-03-31/functions/{name}/invocations", self.lambda_url))
    }

    /// Invokes a function as an administrator; an error it reports is an error here.
    pub async fn invoke(&self, binary: &str, payload: &Value) -> Result<Value> {
        let url = self.invoke_url(binary)?;
        let response = reqwest::Client::new().post(url).json(payload).send().await?;
        let status = response.status().as_u16();
        let failed =
            response.headers().contains_key("x-amz-function-error") || !response.status().is_success();
        let answer: Value = response.json().await?;
        if failed { Err(format!("{binary}: HTTP {status}: {answer}").into()) } else { Ok(answer) }
    }

    /// What a secret holds.
    pub async fn secret(&self, name: &str) -> Result<String> {
        let answer = self.secrets_manager("GetSecretValue", serde_json::json!({ "SecretId": name })).await?;
        Ok(answer["SecretString"].as_str().ok_or_else(|| format!("no secret {name}: {answer}"))?.to_owned())
    }

    /// Has a secret hold something else, for whoever reads it from now on.
    pub async fn set_secret(&self, name: &str, text: &str) -> Result<()> {
        let change = serde_json::json!({ "SecretId": name, "SecretString": text });
        let answer = self.secrets_manager("PutSecretValue", change).await?;
        let version = answer["VersionId"].as_str();
        version.map(drop).ok_or_else(|| format!("no secret {name}: {answer}").into())
    }

    async fn secrets_manager(&self, operation: &str, input: Value) -> Result<Value> {
        let request = reqwest::Client::new()
            .post(&self.aws_url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("secretsmanager.{operation}"))
            // The emulator checks no signature, but tells services apart by its scope.
            .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
            .body(input.to_string());
        Ok(request.send().await?.json().await?)
    }

    /// A look into the database, behind every door.
    pub async fn sql(&self, query: &str) -> Result<Vec<tokio_postgres::Row>> {
        let (client, connection) = tokio_postgres::connect(&self.postgres_url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client.query(query, &[]).await?)
    }

    /// A count out of the database.
    pub async fn count(&self, query: &str) -> Result<i64> {
        Ok(self.sql(query).await?.first().ok_or("no row")?.try_get(0)?)
    }
}
