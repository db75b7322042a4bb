//! Sockets: what API Gateway tells of them, and what we remember of them.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, TimeDelta};
use serde::{Deserialize, Serialize};
use shared::{Timestamp, UserId};

/// API Gateway closes a socket after two hours; what is kept of one goes a little later.
const LONGEST: TimeDelta = TimeDelta::minutes(135);

/// API Gateway's name for a socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SocketId(String);

impl SocketId {
    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SocketId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An open socket of somebody who has shown a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// API Gateway's name for it.
    pub id: SocketId,
    /// Whose it is.
    pub user: UserId,
    /// When it was opened, to the millisecond.
    pub connected_at: Timestamp,
}

/// When nothing of a socket opened at `connected_at` can be left.
pub(crate) fn expiry(connected_at: Timestamp) -> Timestamp {
    connected_at + LONGEST
}

/// A WebSocket route's event, as API Gateway sends it (only what is read of it).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketEvent {
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    #[serde(default)]
    query_string_parameters: Option<HashMap<String, String>>,
    request_context: RequestContext,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    connection_id: String,
    /// Unix milliseconds.
    connected_at: i64,
}

impl SocketEvent {
    /// The socket's name.
    pub fn socket(&self) -> SocketId {
        SocketId(self.request_context.connection_id.clone())
    }

    /// The message; empty on `$connect` and `$disconnect`.
    pub fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }

    /// When the socket was opened.
    pub(crate) fn connected_at(&self) -> Timestamp {
        DateTime::from_timestamp_millis(self.request_context.connected_at).unwrap_or_default()
    }

    /// The access token of a handshake: the query's, since browsers set no headers there, or the header's.
    pub(crate) fn token(&self) -> Option<&str> {
        let asked = self.query_string_parameters.as_ref().and_then(|query| query.get("token"));
        asked.map(String::as_str).or_else(|| {
            let mut headers = self.headers.iter().flatten();
            let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?;
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        })
    }
}

/// What a route answers: on `$connect` the handshake's status, on a message the frame to send back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketAnswer {
    /// HTTP's; anything but 2xx refuses a connection.
    pub status_code: u16,
    /// Headers of the handshake.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub headers: HashMap<&'static str, &'static str>,
    /// The frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl SocketAnswer {
    pub(crate) fn status(status_code: u16) -> Self {
        Self { status_code, headers: HashMap::new(), body: None }
    }

    pub(crate) fn frame(text: String) -> Self {
        Self { body: Some(text), ..Self::status(200) }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(name, value);
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn event(headers: &Value, query: &Value) -> SocketEvent {
        serde_json::from_value(json!({
            "headers": headers, "queryStringParameters": query,
            "requestContext": {"connectionId": "abc=", "connectedAt": 1_771_684_260_000_i64},
        }))
        .unwrap()
    }

    #[test]
    fn a_token_comes_by_query_or_by_header() {
        for (headers, query, token) in [
            (json!(null), json!({"token": "t"}), Some("t")),
            (json!({"authorization": "bearer h"}), json!(null), Some("h")),
            (json!({"Authorization": "Bearer h"}), json!({"token": "t"}), Some("t")),
            (json!({"Authorization": "Basic h"}), json!({}), None),
            (json!({"Authorization": "h"}), json!({}), None),
            (json!({}), json!({"Token": "t"}), None),
        ] {
            assert_eq!(event(&headers, &query).token(), token, "{headers} {query}");
        }
    }

    #[test]
    fn a_bare_event_is_a_socket_without_words() {
        let event: SocketEvent = serde_json::from_value(json!({
            "requestContext": {"connectionId": "abc=", "connectedAt": 1_771_684_260_000_i64},
        }))
        .unwrap();
        assert_eq!((event.socket().as_str(), event.body(), event.token()), ("abc=", "", None));
        assert_eq!(event.connected_at().to_rfc3339(), "2026-02-21T14:31:00+00:00");
    }
}
