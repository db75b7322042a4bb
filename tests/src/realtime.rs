//! An app's side of AppSync's real-time protocol, as the JavaScript clients speak it (`graphql-ws` subprotocol).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Result;

/// The longest a message is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One open subscription on a socket of its own.
pub struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Subscription {
    /// Connects to `realtime_url` as the owner of `token` and starts `query`; returns when it is acknowledged.
    pub async fn start(realtime_url: &str, token: &str, query: &str, variables: Value) -> Result<Self> {
        let host = realtime_url.split('/').nth(2).unwrap_or_default();
        let header = json!({ "Authorization": token, "host": host });
        let protocol = format!("graphql-ws, header-{}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let mut request = realtime_url.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse()?);
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        let mut subscription = Self { socket };
        subscription.send(json!({ "type": "connection_init" })).await?;
        subscription.expect("connection_ack").await?;
        let data = json!({ "query": query, "variables": variables }).to_string();
        let payload = json!({ "data": data, "extensions": { "authorization": header } });
        subscription.send(json!({ "id": "1", "type": "start", "payload": payload })).await?;
        subscription.expect("start_ack").await?;
        Ok(subscription)
    }

    /// The next event's `data`.
    pub async fn next(&mut self) -> Result<Value> {
        Ok(self.expect("data").await?["payload"]["data"].take())
    }

    async fn send(&mut self, message: Value) -> Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// The next message of a type; keep-alives pass, anything else is an error that shows it.
    async fn expect(&mut self, expected: &str) -> Result<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next())
                .await
                .map_err(|_| format!("waited {PATIENCE:?} in vain for {expected}"))?
                .ok_or("the socket closed")??;
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text)?;
            match message["type"].as_str() {
                Some("ka") => {}
                Some(found) if found == expected => return Ok(message),
                _ => return Err(format!("expected {expected}: {message}").into()),
            }
        }
    }
}
