//! Who is subscribed to what, and the handing out of a mutation's result.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::ws::Utf8Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{filter, message};
use crate::api::Api;
use crate::auth::Caller;
use crate::execute::Inputs;
use crate::operations::Document;

/// Every live subscription of one API, by subscription field.
#[derive(Default)]
pub(crate) struct Hub {
    fields: RwLock<HashMap<String, HashMap<u64, Arc<Subscriber>>>>,
    next: AtomicU64,
}

/// One `start` that was accepted.
pub(super) struct Subscriber {
    pub(super) id: String,
    pub(super) field: String,
    pub(super) arguments: Map<String, Value>,
    pub(super) document: Arc<Document>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Map<String, Value>,
    pub(super) sent_variables: Map<String, Value>,
    pub(super) caller: Caller,
    pub(super) request: Box<RawValue>,
    pub(super) outbox: Outbox,
}

/// The way to one client: bounded, and closed for good to a client that does not keep up.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) frames: mpsc::Sender<Utf8Bytes>,
    pub(super) closing: CancellationToken,
}

impl Outbox {
    pub(super) fn send(&self, frame: String) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.frames.try_send(frame.into()) {
            tracing::warn!("a subscriber reads too slowly and is disconnected");
            self.closing.cancel();
        }
    }
}

/// A place in the hub, given up when dropped.
pub(super) struct Registration {
    api: Arc<Api>,
    field: String,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut fields = self.api.hub.fields.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(subscribers) = fields.get_mut(&self.field) {
            subscribers.remove(&self.number);
            if subscribers.is_empty() {
                fields.remove(&self.field);
            }
        }
    }
}

impl Hub {
    /// Enters `subscriber` and acknowledges its `start`, in one step as every mutation sees it: what is published
    /// after the client has read the acknowledgement reaches it, and nothing reaches it before.
    pub(super) fn register(api: &Arc<Api>, subscriber: Subscriber) -> Registration {
        let number = api.hub.next.fetch_add(1, Ordering::Relaxed);
        let field = subscriber.field.clone();
        let mut fields = api.hub.fields.write().unwrap_or_else(PoisonError::into_inner);
        subscriber.outbox.send(message::started(&subscriber.id));
        fields.entry(field.clone()).or_default().insert(number, Arc::new(subscriber));
        drop(fields);
        Registration { api: Arc::clone(api), field, number }
    }

    /// Sends `payload`, by field name, to the subscribers of `field` whose arguments admit it.
    pub(crate) fn publish(&self, api: &Api, field: &str, payload: &Value) {
        let admitted: Vec<Arc<Subscriber>> = {
            let fields = self.fields.read().unwrap_or_else(PoisonError::into_inner);
            let Some(subscribers) = fields.get(field) else { return };
            subscribers
                .values()
                .filter(|subscriber| filter::admits(&subscriber.arguments, payload))
                .map(Arc::clone)
                .collect()
        };
        if admitted.is_empty() {
            return;
        }
        let root = Value::Object([(field.to_owned(), payload.clone())].into_iter().collect());
        for subscriber in admitted {
            let Ok(operation) = subscriber.document.operation(subscriber.operation_name.as_deref()) else {
                continue;
            };
            let inputs = Inputs {
                document: &subscriber.document,
                operation,
                variables: subscriber.variables.clone(),
                sent_variables: &subscriber.sent_variables,
                caller: &subscriber.caller,
                request: &subscriber.request,
            };
            let executed = api.executor.read(inputs, &root);
            subscriber.outbox.send(message::data(&subscriber.id, &executed));
        }
    }
}
