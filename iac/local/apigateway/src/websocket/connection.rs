//! One open connection: its messages to functions, theirs to it, its limits and its one `$disconnect`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::Utc;
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Inner;
use super::event::{self, Caller, ProxyResponse};
use crate::integration::NoAnswer;

/// How long a peer may take to accept a frame, or to answer a close.
const PATIENCE: Duration = Duration::from_secs(5);
const GOING_AWAY: &str = "Going away";

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What others hold of a connection.
pub(super) struct Link {
    pub(super) caller: Caller,
    last_active: AtomicI64,
    outbox: mpsc::Sender<Message>,
}

/// Why a message to a connection was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotSent {
    Gone,
    TooManyWaiting,
}

impl Link {
    /// Hands over a message, or a close.
    pub(super) fn send(&self, message: Message) -> Result<(), NotSent> {
        self.outbox.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotSent::TooManyWaiting,
            mpsc::error::TrySendError::Closed(_) => NotSent::Gone,
        })
    }

    /// In Unix milliseconds.
    pub(super) fn last_active(&self) -> i64 {
        self.last_active.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        self.last_active.store(Utc::now().timestamp_millis(), Ordering::Relaxed);
    }
}

/// How a connection ended, as `$disconnect` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    code: u16,
    reason: String,
    rest: Rest,
}

/// What is still to be read after the end. A socket closed with unread input resets, and the peer would not see
/// the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// The peer's part of the closing handshake.
    Handshake,
    /// What is left of a frame too big to be read as one.
    Bytes,
}

impl End {
    /// The peer has gone without a close.
    fn lost() -> Self {
        Self { code: 1006, reason: "Connection closed abnormally".to_owned(), rest: Rest::Nothing }
    }

    fn by_peer(frame: Option<CloseFrame>) -> Self {
        let (code, reason) = match frame {
            Some(frame) => (frame.code.into(), frame.reason.to_string()),
            None => (1005, "Client-side close frame status not set".to_owned()),
        };
        Self { code, reason, rest: Rest::Handshake }
    }
}

/// A connection that `$connect` has accepted, and which therefore gets one `$disconnect`, whatever comes.
pub(super) struct Opened {
    api: Arc<Inner>,
    link: Arc<Link>,
    inbox: mpsc::Receiver<Message>,
}

impl Opened {
    /// From now on functions can send to it.
    pub(super) fn register(api: Arc<Inner>, caller: Caller) -> Self {
        let (outbox, inbox) = mpsc::channel(api.options.waiting_messages);
        let last_active = AtomicI64::new(caller.connected_at.timestamp_millis());
        let link = Arc::new(Link { caller, last_active, outbox });
        api.links.insert(link.caller.connection_id.clone(), link.clone());
        Self { api, link, inbox }
    }

    pub(super) async fn run(mut self, upgrade: OnUpgrade) {
        let (end, socket) = match timeout(PATIENCE, upgrade).await {
            Ok(Ok(upgraded)) => {
                let mut socket = self.socket(upgraded).await;
                (self.converse(&mut socket).await, Some(socket))
            }
            _ => (End::lost(), None),
        };
        let Self { api, link, inbox } = self;
        api.links.remove(&link.caller.connection_id);
        drop(inbox);
        // A peer that lingers does not keep the function waiting.
        let told = async {
            if let Some(route) = api.definition.routes.get("$disconnect") {
                let event = event::disconnect(&api.definition, &link.caller, end.code, &end.reason);
                // A function that fails here has nobody to tell; its log does.
                drop(route.integration.call(api.invoke.as_ref(), &event.body).await);
            }
        };
        tokio::join!(told, finish(socket, end.rest));
    }

    async fn socket(&self, upgraded: Upgraded) -> Socket {
        let options = &self.api.options;
        let config = WebSocketConfig::default()
            .max_message_size(Some(options.max_message))
            .max_frame_size(Some(options.max_frame))
            // Small buffers: thousands of connections are mostly silent.
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0);
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await
    }

    async fn converse(&mut self, socket: &mut Socket) -> End {
        let options = &self.api.options;
        let (idle, mut idle_since) = (options.idle, Instant::now());
        let closing = self.api.closing.clone();
        let slots = Arc::new(Semaphore::new(options.concurrent_messages));
        let mut slot: Option<OwnedSemaphorePermit> = None;
        let mut life = std::pin::pin!(sleep(options.life));
        let mut silence = std::pin::pin!(sleep(idle));
        loop {
            tokio::select! {
                () = closing.cancelled() => return close(socket, CloseCode::Away, GOING_AWAY).await,
                () = &mut life => return close(socket, CloseCode::Away, GOING_AWAY).await,
                () = &mut silence => {
                    // The timer is moved only when it fires, not at each message.
                    let until = idle_since + idle;
                    if until <= Instant::now() {
                        return close(socket, CloseCode::Away, GOING_AWAY).await;
                    }
                    silence.as_mut().reset(until);
                }
                Some(message) = self.inbox.recv() => {
                    if let Message::Close(Some(frame)) = message {
                        return close(socket, frame.code, frame.reason.as_str()).await;
                    }
                    if !matches!(timeout(PATIENCE, socket.send(message)).await, Ok(Ok(()))) {
                        return End::lost();
                    }
                    idle_since = Instant::now();
                    self.link.touch();
                }
                free = slots.clone().acquire_owned(), if slot.is_none() => slot = free.ok(),
                incoming = socket.next(), if slot.is_some() => {
                    idle_since = Instant::now();
                    self.link.touch();
                    match incoming {
                        Some(Ok(Message::Text(text))) => self.take(text.to_string(), slot.take()),
                        Some(Ok(Message::Binary(_))) => {
                            return close(socket, CloseCode::Unsupported, "Binary is not supported").await;
                        }
                        Some(Ok(Message::Close(frame))) => {
                            return End::by_peer(frame);
                        }
                        Some(Ok(_)) => {}
                        Some(Err(Error::Capacity(_))) => {
                            let end = close(socket, CloseCode::Size, "Message too long").await;
                            return End { rest: Rest::Bytes, ..end };
                        }
                        Some(Err(Error::Utf8(_))) => return close(socket, CloseCode::Invalid, "Invalid UTF-8").await,
                        Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => return End::lost(),
                        Some(Err(Error::Protocol(_))) => {
                            return close(socket, CloseCode::Protocol, "Protocol error").await;
                        }
                        Some(Err(_)) | None => return End::lost(),
                    }
                }
            }
        }
    }

    /// Has a function work on a message, while the connection goes on.
    fn take(&self, text: String, slot: Option<OwnedSemaphorePermit>) {
        let (api, link) = (self.api.clone(), self.link.clone());
        self.api.tasks.spawn(async move {
            if let Some(answer) = answer(&api, &link.caller, &text).await
                && link.send(Message::text(answer)) == Err(NotSent::TooManyWaiting)
            {
                tracing::warn!(
                    connection.id = link.caller.connection_id,
                    "an answer was dropped: too many wait"
                );
            }
            drop(slot);
        });
    }
}

/// What goes back over the connection, if anything does.
async fn answer(api: &Inner, caller: &Caller, text: &str) -> Option<String> {
    let definition = &api.definition;
    let named = definition.selection.route_key(text).filter(|key| !key.starts_with('$'));
    let route = named.and_then(|key| definition.routes.get_key_value(&key));
    let Some((key, route)) = route.or_else(|| definition.routes.get_key_value("$default")) else {
        return Some(error_frame("Forbidden", caller, &crate::identity::request_id()));
    };
    let event = event::message(definition, caller, key, text);
    if api.throttle.as_ref().is_some_and(|throttle| !throttle.admits(Instant::now().into_std())) {
        return Some(error_frame("Too Many Requests", caller, &event.request_id));
    }
    let payload = match route.integration.call(api.invoke.as_ref(), &event.body).await {
        Ok(payload) => payload,
        Err(NoAnswer::TimedOut) => {
            return Some(error_frame("Endpoint request timed out", caller, &event.request_id));
        }
        Err(NoAnswer::Failed) => {
            return Some(error_frame("Internal server error", caller, &event.request_id));
        }
    };
    if !route.is_two_way {
        return None;
    }
    match serde_json::from_slice::<ProxyResponse>(&payload) {
        // The status says nothing to the other end of a WebSocket.
        Ok(response) => response.body.filter(|body| !body.is_empty()),
        Err(error) => {
            tracing::warn!(route = key, %error, "a function returned no proxy response");
            Some(error_frame("Internal server error", caller, &event.request_id))
        }
    }
}

fn error_frame(message: &str, caller: &Caller, request_id: &str) -> String {
    let connection_id = &caller.connection_id;
    format!(r#"{{"message": "{message}", "connectionId":"{connection_id}", "requestId":"{request_id}"}}"#)
}

async fn close(socket: &mut Socket, code: CloseCode, reason: &str) -> End {
    let frame = CloseFrame { code, reason: reason.into() };
    // A peer that no longer reads is as closed as it will be.
    drop(timeout(PATIENCE, socket.close(Some(frame))).await);
    End { code: code.into(), reason: reason.to_owned(), rest: Rest::Handshake }
}

async fn finish(socket: Option<Socket>, rest: Rest) {
    let Some(mut socket) = socket else { return };
    let reading = async {
        match rest {
            Rest::Nothing => {}
            Rest::Handshake => while let Some(Ok(_)) = socket.next().await {},
            Rest::Bytes => {
                let mut sink = vec![0; 16 * 1024];
                while let Ok(1..) = socket.get_mut().read(&mut sink).await {}
            }
        }
    };
    drop(timeout(PATIENCE, reading).await);
}
