//! Calls of the Data API as `bill-session` makes them, made ready before the time is taken: what a function takes to make
//! one, it takes from Lambda and not from the database's machine.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_rdsdata::config::Credentials;
use axum::body::Bytes;
use axum::extract::State;
use axum::{Json, Router};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use shared::{Database, Statement};
use tokio::net::TcpListener;

use super::load::{Call, Calls};
use crate::Result;
use crate::stack::Stack;

/// Has the SDK make a call of each statement; nothing runs them yet.
pub(super) async fn calls(stack: &Stack, statements: Vec<Statement>) -> Result<Vec<Call>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let recorder = format!("http://{}", listener.local_addr()?);
    let recorded = Arc::new(Mutex::new(Vec::with_capacity(statements.len())));
    let router = Router::new().fallback(record).with_state(recorded.clone());
    let recording = tokio::spawn(async move { axum::serve(listener, router).await });
    let database = database(stack, &recorder).await?;
    for statement in statements {
        database.row::<Value>(statement).await?.ok_or("not recorded")?;
    }
    recording.abort();
    let mut recorded = recorded.lock().map_err(|_| "the recorder panicked")?;
    Ok(std::mem::take(&mut *recorded))
}

/// Makes those calls, each once, in their order; answers that are not good are an error.
pub(super) async fn flood(
    stack: &Stack,
    calls: &[Call],
    clients: usize,
    time: std::time::Duration,
) -> Result<(usize, f64)> {
    let load = Calls::from_one(&stack.data_api_url, |number| calls.get(number).cloned());
    let outcome = load.flood(clients, time).await?;
    match outcome.failure {
        None => Ok((outcome.delays.count(), outcome.rate)),
        Some(failure) => Err(failure.into()),
    }
}

async fn record(
    State(recorded): State<Arc<Mutex<Vec<Call>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Json<Value> {
    // Those that whoever repeats the call adds again.
    let is_own = |name: &str| ![HOST, CONTENT_LENGTH, CONTENT_TYPE].iter().any(|other| other == name);
    let headers = headers.iter().filter(|(name, _)| is_own(name.as_str()));
    let headers =
        headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let call = Call { method, path: uri.to_string(), headers: headers.collect(), body };
    if let Ok(mut recorded) = recorded.lock() {
        recorded.push(call);
    }
    Json(json!({ "numberOfRecordsUpdated": 0, "records": [[{ "stringValue": "{}" }]] }))
}

async fn database(stack: &Stack, endpoint: &str) -> Result<Database> {
    let function = stack.functions.iter().find(|function| function.binary == "bill-session");
    let variables = &function.ok_or("no bill-session")?.variables;
    let variable = |name: &str| variables.get(name).cloned().ok_or_else(|| format!("no {name}"));
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .load()
        .await;
    let client = aws_sdk_rdsdata::Client::new(&config);
    let (cluster, secret) = (variable("CLUSTER_ARN")?, variable("DATABASE_SECRET_ARN")?);
    Ok(Database::new(client, cluster, secret, variable("DATABASE_NAME")?))
}
