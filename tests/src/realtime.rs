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
use crate::graphql::Auth;

/// The longest a message is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One open subscription on a socket of its own.
pub struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Subscription {
    /// Connects to `realtime_url` as the owner of `token` and starts `query`; returns when it is acknowledged.
    pub async fn start(realtime_url: &str, token: &str, query: &str, variables: Value) -> Result<Self> {
        let mut subscription = Self::dial(realtime_url, token).await?;
        subscription.expect("connection_ack").await?;
        subscription.ask(realtime_url, token, query, variables).await?;
        subscription.expect("start_ack").await?;
        Ok(subscription)
    }

    /// The type of the message that ends a try to subscribe to `query`, connected with one token and started with
    /// another: `start_ack` where both were accepted.
    pub async fn attempt(
        realtime_url: &str,
        (connecting, starting): (&str, &str),
        query: &str,
        variables: Value,
    ) -> Result<String> {
        let mut subscription = Self::dial(realtime_url, connecting).await?;
        let opened = subscription.message().await?;
        if opened["type"] != "connection_ack" {
            return Ok(opened["type"].as_str().unwrap_or_default().to_owned());
        }
        subscription.ask(realtime_url, starting, query, variables).await?;
        Ok(subscription.message().await?["type"].as_str().unwrap_or_default().to_owned())
    }

    /// The message that ends a try to subscribe to `query` with any kind of authorization.
    pub async fn attempt_as(realtime_url: &str, auth: &Auth, query: &str, variables: Value) -> Result<Value> {
        let header = header_of(realtime_url, auth);
        let mut subscription = Self::dial_with(realtime_url, &header).await?;
        let opened = subscription.message().await?;
        if opened["type"] != "connection_ack" {
            return Ok(opened);
        }
        subscription.ask_with(&header, query, variables).await?;
        subscription.message().await
    }

    async fn dial(realtime_url: &str, token: &str) -> Result<Self> {
        Self::dial_with(realtime_url, &header(realtime_url, token)).await
    }

    async fn dial_with(realtime_url: &str, header: &Value) -> Result<Self> {
        let protocol = format!("graphql-ws, header-{}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let mut request = realtime_url.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse()?);
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        let mut subscription = Self { socket };
        subscription.send(json!({ "type": "connection_init" })).await?;
        Ok(subscription)
    }

    async fn ask(&mut self, realtime_url: &str, token: &str, query: &str, variables: Value) -> Result<()> {
        self.ask_with(&header(realtime_url, token), query, variables).await
    }

    async fn ask_with(&mut self, authorization: &Value, query: &str, variables: Value) -> Result<()> {
        let data = json!({ "query": query, "variables": variables }).to_string();
        let payload = json!({ "data": data, "extensions": { "authorization": authorization } });
        self.send(json!({ "id": "1", "type": "start", "payload": payload })).await
    }

    /// The next event's `data`.
    pub async fn next(&mut self) -> Result<Value> {
        Ok(self.expect("data").await?["payload"]["data"].take())
    }

    async fn send(&mut self, message: Value) -> Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    /// The next message of a type; anything else is an error that shows it.
    async fn expect(&mut self, expected: &str) -> Result<Value> {
        let message = self.message().await?;
        if message["type"] == expected {
            Ok(message)
        } else {
            Err(format!("expected {expected}: {message}").into())
        }
    }

    /// The next message that is no keep-alive.
    async fn message(&mut self) -> Result<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next())
                .await
                .map_err(|_| format!("waited {PATIENCE:?} in vain for a message"))?
                .ok_or("the socket closed")??;
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text)?;
            if message["type"] != "ka" {
                return Ok(message);
            }
        }
    }
}

/// What shows who asks.
fn header(realtime_url: &str, token: &str) -> Value {
    header_of(realtime_url, &Auth::Token(token.to_owned()))
}

fn header_of(realtime_url: &str, auth: &Auth) -> Value {
    let host = realtime_url.split('/').nth(2).unwrap_or_default();
    match auth {
        Auth::ApiKey(key) => json!({ "x-api-key": key, "host": host }),
        Auth::Token(token) => json!({ "Authorization": token, "host": host }),
        Auth::Nobody => json!({ "host": host }),
    }
}
