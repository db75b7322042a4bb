//! Sockets: what API Gateway tells of them, what we remember of them, and how one is written to.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use shared::{ChargerId, Failure, Timestamp};

use crate::{ChargePointId, Protocol, Registration};

/// A WebSocket route's event, as API Gateway sends it (only what is read of it).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketEvent {
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    #[serde(default)]
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
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
}

impl SocketEvent {
    /// The socket's name.
    pub fn connection_id(&self) -> &str {
        &self.request_context.connection_id
    }

    /// The message; empty on `$connect` and `$disconnect`.
    pub fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query_string_parameters.as_ref()?.get(name).map(String::as_str)
    }

    /// Every value of a header, joined as HTTP joins them.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let many = self.multi_value_headers.iter().flatten().find(|(key, _)| key.eq_ignore_ascii_case(name));
        let one = self.headers.iter().flatten().find(|(key, _)| key.eq_ignore_ascii_case(name));
        many.map(|(_, values)| values.join(", ")).or_else(|| one.map(|(_, value)| value.clone()))
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
    pub headers: HashMap<&'static str, String>,
    /// The frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl SocketAnswer {
    /// A bare status.
    pub fn status(status_code: u16) -> Self {
        Self { status_code, headers: HashMap::new(), body: None }
    }

    /// 200 with a frame, or with nothing to say.
    pub fn frame(body: Option<String>) -> Self {
        Self { body, ..Self::status(200) }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }
}

/// An open socket of a charger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// API Gateway's name for it.
    pub id: String,
    /// Whose it is.
    pub charge_point_id: ChargePointId,
    /// Our id of the charger.
    pub charger: ChargerId,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Whether the charger may take part, as of its connection or its latest boot on it.
    pub registration: Registration,
    /// When it was opened.
    pub connected_at: Timestamp,
}

/// The open sockets.
#[async_trait(?Send)]
pub trait Connections {
    /// Remembers a socket, and that it is now the charger's; gives the one it replaces.
    async fn open(&self, connection: &Connection) -> Result<Option<String>, Failure>;

    /// A socket by its name.
    async fn find(&self, id: &str) -> Result<Option<Connection>, Failure>;

    /// The socket to reach a charger by.
    async fn of(&self, charge_point_id: &ChargePointId) -> Result<Option<Connection>, Failure>;

    /// Changes what a boot has shown.
    async fn register(&self, connection: &Connection, registration: Registration) -> Result<(), Failure>;

    /// Forgets a socket; the charger keeps its other one, if it has one by now.
    async fn close(&self, connection: &Connection) -> Result<(), Failure>;
}

/// How sending went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// API Gateway took it.
    Sent,
    /// There is no such socket.
    Gone,
}

/// Writing to sockets.
#[async_trait(?Send)]
pub trait Sockets {
    /// Sends a frame.
    async fn post(&self, connection_id: &str, frame: &str) -> Result<Posted, Failure>;

    /// Closes a socket; one that is closed already is no matter.
    async fn hang_up(&self, connection_id: &str) -> Result<(), Failure>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_header_is_found_in_any_case_with_all_its_values() {
        let event: SocketEvent = serde_json::from_value(json!({
            "headers": {"sec-websocket-protocol": "ocpp1.6"},
            "multiValueHeaders": {"Sec-WebSocket-Protocol": ["ocpp2.0.1", "ocpp1.6"]},
            "requestContext": {"connectionId": "abc=", "routeKey": "$connect"},
        }))
        .unwrap();
        assert_eq!(event.header("SEC-WEBSOCKET-PROTOCOL").unwrap(), "ocpp2.0.1, ocpp1.6");
        assert_eq!(event.connection_id(), "abc=");
        assert_eq!(event.body(), "");
    }
}
