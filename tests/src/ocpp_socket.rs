//! A bare OCPP socket: frames in, frames out, right or wrong as a test wants them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Result;
use crate::journey::CHARGER_PASSWORD;
use crate::stack::Stack;

/// The longest a frame is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection of a charger.
pub struct OcppSocket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The subprotocol that was chosen.
    pub protocol: String,
    calls: u64,
}

impl OcppSocket {
    /// Dials in as `id` with its right password, offering `protocols`.
    pub async fn connect(stack: &Stack, id: &str, protocols: &str) -> Result<Self> {
        let (socket, response) =
            Self::dial(stack, id, &format!("{id}:{CHARGER_PASSWORD}"), protocols).await?;
        let protocol =
            response.headers().get("sec-websocket-protocol").map(|value| value.to_str().map(str::to_owned));
        Ok(Self { socket, protocol: protocol.transpose()?.unwrap_or_default(), calls: 0 })
    }

    /// The HTTP status with which a connection is refused.
    pub async fn refusal(stack: &Stack, id: &str, credentials: &str, protocols: &str) -> Result<u16> {
        match Self::dial(stack, id, credentials, protocols).await {
            Err(error) => match error.downcast::<tungstenite::Error>() {
                Ok(error) => match *error {
                    tungstenite::Error::Http(response) => Ok(response.status().as_u16()),
                    error => Err(error.into()),
                },
                Err(error) => Err(error),
            },
            Ok(_) => Err("it was let in".into()),
        }
    }

    async fn dial(
        stack: &Stack,
        id: &str,
        credentials: &str,
        protocols: &str,
    ) -> Result<(WebSocketStream<MaybeTlsStream<TcpStream>>, Response<Option<Vec<u8>>>)> {
        let mut request = format!("{}{id}", stack.ocpp_url).into_client_request()?;
        if !credentials.is_empty() {
            let credentials = format!("Basic {}", STANDARD.encode(credentials));
            request.headers_mut().insert("authorization", credentials.parse()?);
        }
        if !protocols.is_empty() {
            request.headers_mut().insert("sec-websocket-protocol", protocols.parse()?);
        }
        Ok(tokio_tungstenite::connect_async(request).await?)
    }

    /// Sends a CALL and gives its answer's payload; calls that arrive meanwhile are accepted.
    pub async fn call(&mut self, action: &str, payload: Value) -> Result<Value> {
        self.calls += 1;
        let id = format!("call-{}", self.calls);
        self.send(&json!([2, id, action, payload]).to_string()).await?;
        loop {
            let frame = self.frame().await?;
            if frame[1] == json!(id) {
                return Ok(frame[2].clone());
            }
            self.accept(&frame).await?;
        }
    }

    /// Waits for a CALL of `action`, accepts it, and gives its payload.
    pub async fn accept_call(&mut self, action: &str) -> Result<Value> {
        loop {
            let frame = self.frame().await?;
            self.accept(&frame).await?;
            if frame[2] == json!(action) {
                return Ok(frame[3].clone());
            }
        }
    }

    async fn accept(&mut self, frame: &Value) -> Result<()> {
        self.send(&json!([3, frame[1], { "status": "Accepted" }]).to_string()).await
    }

    /// Sends any text.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Result<Value> {
        loop {
            match self.message().await? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(close) => return Err(format!("closed: {close:?}").into()),
                _ => {}
            }
        }
    }

    /// The code with which the other side closes; frames before it are skipped.
    pub async fn close_code(&mut self) -> Result<u16> {
        loop {
            if let Message::Close(close) = self.message().await? {
                return Ok(close.map_or(1005, |close| close.code.into()));
            }
        }
    }

    async fn message(&mut self) -> Result<Message> {
        let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        Ok(message.map_err(|_| format!("no frame in {PATIENCE:?}"))?.ok_or("the socket is gone")??)
    }
}
