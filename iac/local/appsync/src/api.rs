//! One GraphQL API at work: a request in, a response out, subscribers told of what mutations did.

use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::ast::OperationType;
use lambda_host::Invoke;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::auth::{Authenticator, Caller, Headers};
use crate::coercion;
use crate::definition::ApiDefinition;
use crate::error::{GraphqlError, Refusal};
use crate::execute::{Executed, Executor, Inputs, Object, Output};
use crate::operations::{Document, Operations};
use crate::realtime::Hub;

/// The service's own timings, to be shortened by tests.
#[derive(Debug, Clone)]
pub struct Options {
    /// A resolver's function that takes longer fails the field: 30 s.
    pub resolver_timeout: Duration,
    /// Between two `ka` frames: 60 s.
    pub keep_alive: Duration,
    /// After which a client that heard nothing reconnects, as `connection_ack` tells it: 300 s.
    pub connection_timeout: Duration,
    /// After which a WebSocket is closed whatever it does: 24 h.
    pub connection_lifetime: Duration,
    /// Subscriptions on one WebSocket: 100.
    pub max_subscriptions: usize,
    /// Frames waiting for a client that reads slowly; at one more it is disconnected.
    pub send_queue: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resolver_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(60),
            connection_timeout: Duration::from_secs(300),
            connection_lifetime: Duration::from_secs(24 * 3600),
            max_subscriptions: 100,
            send_queue: 256,
        }
    }
}

/// A GraphQL request. Keys it does not know are ignored, as clients send some.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The document.
    pub query: String,
    /// As sent; null counts as none.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub variables: Map<String, Value>,
    /// Which operation of the document.
    pub operation_name: Option<String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::<Map<String, Value>>::deserialize(deserializer)?.unwrap_or_default())
}

impl Request {
    /// `{query, variables}`.
    pub fn new(query: impl Into<String>, variables: Map<String, Value>) -> Self {
        Self { query: query.into(), variables, operation_name: None }
    }
}

/// A GraphQL response and the HTTP status it goes with.
#[derive(Debug)]
pub struct Response {
    status: u16,
    data: Option<Object>,
    errors: Arc<[GraphqlError]>,
}

impl Response {
    /// 200, or 4xx for a request that never ran.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Empty if every field has its value.
    pub fn errors(&self) -> &[GraphqlError] {
        &self.errors
    }

    /// `data`, null where there is none.
    pub fn data(&self) -> Value {
        serde_json::to_value(&self.data).unwrap_or_default()
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status, data: None, errors: refusal.errors }
    }
}

impl From<Executed> for Response {
    fn from(executed: Executed) -> Self {
        Self { status: 200, data: executed.data, errors: executed.errors.into() }
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // A request that never ran has no `data`, not a null one.
        if self.status == 200 {
            map.serialize_entry("data", &self.data)?;
        }
        if !self.errors.is_empty() {
            map.serialize_entry("errors", &*self.errors)?;
        }
        map.end()
    }
}

/// One GraphQL API: `router()` or [`serve`](Api::serve) for clients, [`execute`](Api::execute) for the bus.
pub struct Api {
    pub(crate) definition: Arc<ApiDefinition>,
    pub(crate) options: Options,
    pub(crate) authenticator: Authenticator,
    pub(crate) operations: Operations,
    pub(crate) executor: Executor,
    pub(crate) hub: Hub,
    /// Cancelled when the API stops: WebSockets outlive the server that accepted them.
    pub(crate) stopping: CancellationToken,
}

/// A request whose operation is known and whose variables are of their types.
pub(crate) struct Prepared {
    pub(crate) document: Arc<Document>,
    pub(crate) variables: Map<String, Value>,
}

impl Api {
    /// An API that calls its functions through `invoke`.
    pub fn new(definition: ApiDefinition, invoke: Arc<dyn Invoke>, options: Options) -> Arc<Self> {
        let definition = Arc::new(definition);
        Arc::new(Self {
            authenticator: Authenticator::new(Arc::clone(&definition), Arc::clone(&invoke)),
            operations: Operations::new(
                Arc::clone(&definition.schema),
                definition.introspection,
                definition.depth_limit,
            ),
            executor: Executor {
                definition: Arc::clone(&definition),
                invoke,
                timeout: options.resolver_timeout,
            },
            hub: Hub::default(),
            stopping: CancellationToken::new(),
            definition,
            options,
        })
    }

    /// What the API serves.
    pub fn definition(&self) -> &ApiDefinition {
        &self.definition
    }

    /// Runs a query or mutation for a caller who is already authorized, and publishes what a mutation did. The way in
    /// for an EventBridge target: `api.execute(&Request::new(operation, variables), &Caller::iam(…)).await`.
    pub async fn execute(&self, request: &Request, caller: &Caller) -> Response {
        self.execute_with(request, caller, &Headers::new()).await
    }

    pub(crate) async fn execute_with(
        &self,
        request: &Request,
        caller: &Caller,
        headers: &Headers,
    ) -> Response {
        match self.prepare(request) {
            Ok(prepared) => self.run(request, prepared, caller, headers).await.unwrap_or_else(Response::from),
            Err(refusal) => refusal.into(),
        }
    }

    pub(crate) fn prepare(&self, request: &Request) -> Result<Prepared, Refusal> {
        let document = self.operations.get(&request.query)?;
        let operation = document.operation(request.operation_name.as_deref())?;
        let variables = coercion::variables(
            &self.definition.schema.valid,
            operation,
            &document.valid.sources,
            &request.variables,
        )
        .map_err(|error| Refusal::validation(vec![error]))?;
        Ok(Prepared { document, variables })
    }

    async fn run(
        &self,
        request: &Request,
        prepared: Prepared,
        caller: &Caller,
        headers: &Headers,
    ) -> Result<Response, Refusal> {
        let operation = prepared.document.operation(request.operation_name.as_deref())?;
        if operation.operation_type == OperationType::Subscription {
            let message = "subscription is not supported through this channel";
            return Err(Refusal::request(400, "UnsupportedOperation", message));
        }
        let executed = self
            .executor
            .run(Inputs {
                document: &prepared.document,
                operation,
                variables: prepared.variables,
                sent_variables: &request.variables,
                caller,
                request: &request_context(headers),
            })
            .await;
        if operation.operation_type == OperationType::Mutation
            && let Some(data) = &executed.data
        {
            self.publish(data);
        }
        Ok(executed.into())
    }

    /// A mutation that answered null did not happen, as far as subscribers are concerned.
    fn publish(&self, data: &Object) {
        for field in &data.fields {
            let fed = self.definition.schema.fed_by(&field.name);
            if fed.is_empty() || field.value == Output::Null {
                continue;
            }
            let payload = field.value.to_source();
            for subscription in fed {
                self.hub.publish(self, subscription, &payload);
            }
        }
    }
}

/// `ctx.request`.
pub(crate) fn request_context(headers: &Headers) -> Box<RawValue> {
    to_raw_value(&json!({ "headers": headers, "domainName": null }))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}
