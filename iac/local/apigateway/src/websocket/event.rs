//! The events that functions of a WebSocket API get, and what they may return.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::template::ApiDefinition;
use crate::identity::{request_id, request_time};

/// Who is connected, since when.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) connection_id: String,
    pub(super) connected_at: DateTime<Utc>,
    pub(super) source_ip: IpAddr,
    pub(super) user_agent: Option<String>,
}

/// An event and the id it bears, which error frames repeat.
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) body: Value,
}

fn context(
    definition: &ApiDefinition,
    caller: &Caller,
    route_key: &str,
    kind: &str,
) -> (String, Map<String, Value>) {
    let (id, now) = (request_id(), Utc::now());
    let mut identity = json!({ "sourceIp": caller.source_ip });
    if let Some(user_agent) = &caller.user_agent {
        identity["userAgent"] = json!(user_agent);
    }
    let context = json!({
        "routeKey": route_key,
        "eventType": kind,
        "extendedRequestId": id,
        "requestTime": request_time(now),
        "messageDirection": "IN",
        "stage": definition.stage,
        "connectedAt": caller.connected_at.timestamp_millis(),
        "requestTimeEpoch": now.timestamp_millis(),
        "identity": identity,
        "requestId": id,
        "domainName": definition.domain,
        "connectionId": caller.connection_id,
        "apiId": definition.id,
    });
    match context {
        Value::Object(context) => (id, context),
        _ => (id, Map::new()),
    }
}

/// `$connect`, with the request's headers and query.
pub(super) fn connect(
    definition: &ApiDefinition,
    caller: &Caller,
    headers: &HeaderMap,
    query: &[(String, String)],
) -> Event {
    let (request_id, context) = context(definition, caller, "$connect", "CONNECT");
    let mut all_headers = gather(
        headers
            .iter()
            .filter(|(name, _)| !is_of_the_hop(name))
            .map(|(name, value)| (train_case(name), String::from_utf8_lossy(value.as_bytes()).into_owned())),
    );
    all_headers.entry("X-Forwarded-For".to_owned()).or_default().push(caller.source_ip.to_string());
    let mut body = json!({
        "headers": last_of_each(&all_headers),
        "multiValueHeaders": all_headers,
        "requestContext": context,
        "isBase64Encoded": false,
    });
    if !query.is_empty() {
        let all = gather(query.iter().cloned());
        body["queryStringParameters"] = json!(last_of_each(&all));
        body["multiValueQueryStringParameters"] = json!(all);
    }
    Event { request_id, body }
}

/// A message on `route_key`.
pub(super) fn message(definition: &ApiDefinition, caller: &Caller, route_key: &str, text: &str) -> Event {
    let (request_id, mut context) = context(definition, caller, route_key, "MESSAGE");
    context.insert("messageId".to_owned(), json!(crate::identity::request_id()));
    Event { request_id, body: json!({ "requestContext": context, "body": text, "isBase64Encoded": false }) }
}

/// `$disconnect`, with the code and reason of the close.
pub(super) fn disconnect(definition: &ApiDefinition, caller: &Caller, code: u16, reason: &str) -> Event {
    let (request_id, mut context) = context(definition, caller, "$disconnect", "DISCONNECT");
    context.insert("disconnectStatusCode".to_owned(), json!(code));
    context.insert("disconnectReason".to_owned(), json!(reason));
    let headers = BTreeMap::from([
        ("Host".to_owned(), vec![definition.domain.clone()]),
        ("x-api-key".to_owned(), vec![String::new()]),
        ("X-Forwarded-For".to_owned(), vec![String::new()]),
        ("x-restapi".to_owned(), vec![String::new()]),
    ]);
    let body = json!({
        "headers": last_of_each(&headers),
        "multiValueHeaders": headers,
        "requestContext": context,
        "isBase64Encoded": false,
    });
    Event { request_id, body }
}

fn gather(pairs: impl Iterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in pairs {
        all.entry(name).or_default().push(value);
    }
    all
}

fn last_of_each(all: &BTreeMap<String, Vec<String>>) -> BTreeMap<&str, &str> {
    all.iter().filter_map(|(name, values)| Some((name.as_str(), values.last()?.as_str()))).collect()
}

fn is_of_the_hop(name: &HeaderName) -> bool {
    name == header::CONNECTION || name == header::UPGRADE
}

/// `sec-websocket-key` as clients write it: `Sec-WebSocket-Key`. HTTP/1 is read without its letter case.
fn train_case(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| match word {
        "websocket" => "WebSocket".to_owned(),
        _ => {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
        }
    });
    words.collect::<Vec<String>>().join("-")
}

/// What a function returns through a proxy integration.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProxyResponse {
    pub(super) status_code: u16,
    #[serde(default)]
    pub(super) headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    pub(super) multi_value_headers: Option<BTreeMap<String, Vec<Value>>>,
    #[serde(default)]
    pub(super) body: Option<String>,
}

impl ProxyResponse {
    /// Name and value of each header.
    pub(super) fn all_headers(&self) -> impl Iterator<Item = (&str, &Value)> {
        let single = self.headers.iter().flatten().map(|(name, value)| (name.as_str(), value));
        let many = self.multi_value_headers.iter().flatten();
        single.chain(many.flat_map(|(name, values)| values.iter().map(|value| (name.as_str(), value))))
    }
}
