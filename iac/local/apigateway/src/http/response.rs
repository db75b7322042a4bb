//! What a function returned, as a response: its own where it gives a `statusCode`, else 200 with all it returned.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Formatted {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// None where what was returned can be no response.
pub(super) fn from_payload(payload: &[u8]) -> Option<Response> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    if value.get("statusCode").is_none() {
        let body = match value {
            Value::String(text) => text.into_bytes(),
            _ => payload.to_vec(),
        };
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Some(response);
    }
    let formatted: Formatted = serde_json::from_value(value).ok()?;
    let body = formatted.body.unwrap_or_default();
    let body = match formatted.is_base64_encoded {
        Some(true) => STANDARD.decode(body).ok()?,
        _ => body.into_bytes(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(formatted.status_code).ok()?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=utf-8"));
    for (name, value) in formatted.headers.iter().flatten() {
        let name = HeaderName::try_from(name).ok()?;
        let value = match value {
            Value::String(text) => HeaderValue::try_from(text).ok()?,
            Value::Null => continue,
            other => HeaderValue::try_from(other.to_string()).ok()?,
        };
        // The body's length is what it is, whatever the function says of it.
        if name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING && name != header::CONNECTION {
            headers.insert(name, value);
        }
    }
    for cookie in formatted.cookies.iter().flatten() {
        headers.append(header::SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    Some(response)
}
