//! A request as the event that its function gets, in payload format 2.0.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde_json::{Value, json};

use super::template::ApiDefinition;
use crate::identity::{request_id, request_time};
use crate::query;

pub(super) fn request(
    definition: &ApiDefinition,
    route_key: &str,
    parameters: &BTreeMap<&str, String>,
    source_ip: IpAddr,
    parts: &Parts,
    body: &[u8],
) -> Value {
    let now = Utc::now();
    let path = parts.uri.path();
    let raw_query = parts.uri.query().unwrap_or_default();
    let mut headers = joined(&parts.headers);
    let cookies: Vec<String> = headers
        .remove("cookie")
        .map(|cookies| cookies.split(';').map(|cookie| cookie.trim().to_owned()).collect())
        .unwrap_or_default();
    headers.insert("x-forwarded-for".to_owned(), source_ip.to_string());
    let user_agent = headers.get("user-agent").cloned().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": raw_query,
        "headers": headers,
        "requestContext": {
            "accountId": definition.account,
            "apiId": definition.id,
            "domainName": definition.domain,
            "domainPrefix": definition.id,
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": source_ip,
                "userAgent": user_agent,
            },
            "requestId": request_id(),
            "routeKey": route_key,
            "stage": definition.stage,
            "time": request_time(now),
            "timeEpoch": now.timestamp_millis(),
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !parameters.is_empty() {
        event["pathParameters"] = json!(parameters);
    }
    let query = joined_query(raw_query);
    if !query.is_empty() {
        event["queryStringParameters"] = json!(query);
    }
    if !body.is_empty() {
        match std::str::from_utf8(body) {
            Ok(text) if is_text(&parts.headers) => event["body"] = json!(text),
            _ => {
                event["body"] = json!(STANDARD.encode(body));
                event["isBase64Encoded"] = json!(true);
            }
        }
    }
    event
}

/// Lower-case names; values of one name joined by commas.
fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let separator = if name == header::COOKIE { "; " } else { "," };
        all.entry(name.as_str().to_owned())
            .and_modify(|values| {
                values.push_str(separator);
                values.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    all
}

fn joined_query(raw: &str) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in query::pairs(raw) {
        all.entry(name)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    all
}

/// Which bodies a function gets as they are; others, forms among them, come in base64.
fn is_text(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(content_type) = content_type else { return true };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&essence.as_str())
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}
