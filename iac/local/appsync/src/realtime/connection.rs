//! One WebSocket from hello to goodbye.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures::SinkExt;
use futures::stream::{SplitSink, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::handshake::lower_case;
use super::hub::{Hub, Outbox, Registration, Subscriber};
use super::merged;
use super::message::{self, ClientMessage, ConnectionFault, Start};
use crate::api::{Api, Request, request_context};
use crate::auth::{Attempt, Headers, SignedTarget};
use crate::error::GraphqlError;
use crate::execute::Inputs;

/// What is still queued when a connection ends gets this long to leave.
const FAREWELL: Duration = Duration::from_secs(2);

struct Connection {
    api: Arc<Api>,
    headers: Headers,
    source_ip: String,
    outbox: Outbox,
    slots: Mutex<Slots>,
}

/// The connection's subscriptions by the client's id.
#[derive(Default)]
struct Slots {
    by_id: HashMap<String, Slot>,
    /// Tells a `start` from an earlier one that had the same id and was stopped.
    next: u64,
}

struct Slot {
    number: u64,
    /// `None` while the subscription is being authorized.
    _registration: Option<Registration>,
}

/// Serves the socket until the client leaves, the API stops, or a limit is reached.
pub(super) async fn run(
    api: Arc<Api>,
    socket: WebSocket,
    opening: Result<(), ConnectionFault>,
    headers: Headers,
    source_ip: String,
) {
    let (sink, mut incoming) = socket.split();
    let (frames, queued) = mpsc::channel(api.options.send_queue);
    let outbox = Outbox { frames, closing: api.stopping.child_token() };
    let closing = outbox.closing.clone();
    let writer = tokio::spawn(write(sink, queued, closing.clone()));

    let mut keep_alive = interval_at(Instant::now() + api.options.keep_alive, api.options.keep_alive);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let lifetime = sleep(api.options.connection_lifetime);
    tokio::pin!(lifetime);
    let connection = Arc::new(Connection { api, headers, source_ip, outbox, slots: Mutex::default() });
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            () = &mut lifetime => break,
            _ = keep_alive.tick() => connection.outbox.send(message::keep_alive()),
            message = incoming.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Err(fault) = connection.receive(&text, opening) {
                        connection.outbox.send(message::connection_error(fault));
                        break;
                    }
                }
                Some(Ok(Message::Binary(_))) => connection.outbox.send(message::unsupported(None)),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            },
        }
    }
    closing.cancel();
    connection.slots().by_id.clear();
    // The writer ends by itself; a panic in it is logged by the runtime.
    let _ = writer.await;
}

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queued: mpsc::Receiver<Utf8Bytes>,
    closing: tokio_util::sync::CancellationToken,
) {
    let open = async {
        while let Some(frame) = queued.recv().await {
            if sink.send(Message::Text(frame)).await.is_err() {
                closing.cancel();
                return;
            }
        }
    };
    tokio::select! {
        () = open => {}
        () = closing.cancelled() => {}
    }
    let farewell = async {
        while let Ok(frame) = queued.try_recv() {
            sink.send(Message::Text(frame)).await?;
        }
        let reason = CloseFrame { code: close_code::NORMAL, reason: Utf8Bytes::default() };
        sink.send(Message::Close(Some(reason))).await
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

impl Connection {
    /// An error ends the connection.
    fn receive(
        self: &Arc<Self>,
        text: &str,
        opening: Result<(), ConnectionFault>,
    ) -> Result<(), ConnectionFault> {
        let message = serde_json::from_str::<ClientMessage>(text);
        // Whoever was refused hears it in answer to whatever comes first.
        opening?;
        let Ok(message) = message else {
            self.outbox.send(message::unsupported(None));
            return Ok(());
        };
        match (message.kind.as_str(), message.id) {
            ("connection_init", _) => {
                self.outbox.send(message::acknowledgement(self.api.options.connection_timeout));
                self.outbox.send(message::keep_alive());
            }
            ("start", Some(id)) => match serde_json::from_value(message.payload) {
                Ok(start) => self.start(id, start),
                Err(_) => self.outbox.send(message::unsupported(Some(&id))),
            },
            ("stop", Some(id)) => {
                self.slots().by_id.remove(&id);
                self.outbox.send(message::complete(&id));
            }
            (_, id) => self.outbox.send(message::unsupported(id.as_deref())),
        }
        Ok(())
    }

    /// Takes the id at once and decides in a task: an authorizer may be slow, and other frames wait for nobody.
    fn start(self: &Arc<Self>, id: String, start: Start) {
        let number = {
            let mut slots = self.slots();
            let limit = self.api.options.max_subscriptions;
            let fault = if slots.by_id.contains_key(&id) {
                Some(("DuplicatedOperationError", format!("Duplicated operation with id {id}")))
            } else if slots.by_id.len() >= limit {
                Some(("MaxSubscriptionsReachedError", format!("Max number of {limit} subscriptions reached")))
            } else {
                None
            };
            if let Some((kind, message)) = fault {
                drop(slots);
                self.outbox.send(message::error(Some(&id), kind, &message));
                return;
            }
            let number = slots.next;
            slots.next += 1;
            slots.by_id.insert(id.clone(), Slot { number, _registration: None });
            number
        };
        let connection = Arc::clone(self);
        tokio::spawn(async move {
            let closing = connection.outbox.closing.clone();
            let decided = tokio::select! {
                decided = connection.subscriber(&id, start) => decided,
                () = closing.cancelled() => return,
            };
            let mut slots = connection.slots();
            // Stopped meanwhile, perhaps started anew.
            let Some(slot) = slots.by_id.get_mut(&id).filter(|slot| slot.number == number) else { return };
            match decided {
                Ok(subscriber) => slot._registration = Some(Hub::register(&connection.api, subscriber)),
                Err(frame) => {
                    slots.by_id.remove(&id);
                    drop(slots);
                    connection.outbox.send(frame);
                }
            }
        });
    }

    /// The subscriber, or the frame that refuses it.
    async fn subscriber(&self, id: &str, start: Start) -> Result<Subscriber, String> {
        let refused = |errors: &[GraphqlError]| message::refused(id, errors);
        let request: Request =
            serde_json::from_str(&start.data).map_err(|_| message::unsupported(Some(id)))?;
        let headers = merged(&self.headers, lower_case(&start.extensions.authorization));
        // Credentials of the opening request do not count here, wherever they were.
        let headers = without_own_credentials(headers, &start);
        let attempt = Attempt {
            headers: &headers,
            signed: SignedTarget { method: "POST", path: "/graphql", query: "", body: start.data.as_bytes() },
            query: &request.query,
            operation_name: request.operation_name.as_deref(),
            variables: &request.variables,
            source_ip: &self.source_ip,
        };
        let caller = self
            .api
            .authenticator
            .authenticate(&attempt)
            .await
            .map_err(|refusal| refused(&refusal.errors))?;
        let prepared = self.api.prepare(&request).map_err(|refusal| {
            let unreadable = refusal
                .errors
                .iter()
                .any(|error| error.error_type() == Some("MalformedHttpRequestException"));
            if unreadable { message::unsupported(Some(id)) } else { refused(&refusal.errors) }
        })?;
        let operation = prepared
            .document
            .operation(request.operation_name.as_deref())
            .map_err(|refusal| refused(&refusal.errors))?;
        if !operation.is_subscription() {
            return Err(message::unsupported(Some(id)));
        }
        let context = request_context(&headers);
        let inputs = Inputs {
            document: &prepared.document,
            operation,
            variables: prepared.variables.clone(),
            sent_variables: &request.variables,
            caller: &caller,
            request: &context,
        };
        let subscribed = self.api.executor.subscribe(inputs).await.map_err(|errors| refused(&errors))?;
        Ok(Subscriber {
            id: id.to_owned(),
            field: subscribed.field.to_string(),
            arguments: subscribed.arguments,
            variables: prepared.variables,
            document: prepared.document,
            operation_name: request.operation_name,
            sent_variables: request.variables,
            caller,
            request: context,
            outbox: self.outbox.clone(),
        })
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each `start` brings its own: the upgrade request's real headers must not stand in for missing ones.
fn without_own_credentials(mut headers: Headers, start: &Start) -> Headers {
    for name in ["authorization", "x-api-key"] {
        if !start.extensions.authorization.keys().any(|given| given.eq_ignore_ascii_case(name)) {
            headers.remove(name);
        }
    }
    headers
}
