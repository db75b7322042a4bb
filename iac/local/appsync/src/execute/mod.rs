//! Runs one operation: which fields, by which resolvers, to which result.
//! <https://spec.graphql.org/October2021/#sec-Execution>

mod batch;
mod collect;
mod complete;
mod info;
mod lambda;
mod output;
mod path;
mod resolve;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apollo_compiler::executable::{Field, Operation};
use apollo_compiler::response::{JsonMap, serde_json_bytes};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, introspection};
use lambda_host::Invoke;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(crate) use info::InfoCache;
pub(crate) use output::{CompletedField, Object, Output};

use crate::auth::Caller;
use crate::definition::ApiDefinition;
use crate::error::{Failure, FieldError, GraphqlError, Location};
use crate::operations::Document;
use batch::Batches;
use collect::Collector;
use path::Path;

/// What every execution of one API shares.
pub(crate) struct Executor {
    pub(crate) definition: Arc<ApiDefinition>,
    pub(crate) invoke: Arc<dyn Invoke>,
    /// A resolver that takes longer fails.
    pub(crate) timeout: Duration,
}

/// One operation's inputs.
pub(crate) struct Inputs<'a> {
    pub(crate) document: &'a Document,
    pub(crate) operation: &'a Operation,
    /// Coerced.
    pub(crate) variables: Map<String, Value>,
    /// As the client sent them, for `ctx.info.variables`.
    pub(crate) sent_variables: &'a Map<String, Value>,
    pub(crate) caller: &'a Caller,
    /// `ctx.request`.
    pub(crate) request: &'a RawValue,
}

/// What came of an operation. `data` is `None` where null reached the root.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) data: Option<Object>,
    pub(crate) errors: Vec<GraphqlError>,
}

/// What a subscription waits for.
#[derive(Debug)]
pub(crate) struct Subscribed {
    pub(crate) field: Name,
    /// Those the client gave, null among them; what it left out is not here.
    pub(crate) arguments: Map<String, Value>,
}

/// One operation being run.
pub(crate) struct Execution<'a> {
    executor: &'a Executor,
    inputs: Inputs<'a>,
    errors: Mutex<Vec<GraphqlError>>,
    resolved: AtomicUsize,
    batches: Batches,
}

/// Null has to move on to the parent: an error is already recorded.
#[derive(Debug)]
pub(crate) struct Nulled;

impl Executor {
    /// Runs the operation through its resolvers.
    pub(crate) async fn run(&self, inputs: Inputs<'_>) -> Executed {
        let execution = Execution::new(self, inputs);
        let data = execution.root().await.ok();
        execution.finish(data)
    }

    /// Asks whether the caller may have this subscription: the field's own rule, and its resolver if it has one, whose
    /// result is of no other use.
    pub(crate) async fn subscribe(&self, inputs: Inputs<'_>) -> Result<Subscribed, Vec<GraphqlError>> {
        let execution = Execution::new(self, inputs);
        let subscribed = execution.subscribe().await;
        let Executed { errors, .. } = execution.finish(None);
        match subscribed {
            Ok(subscribed) if errors.is_empty() => Ok(subscribed),
            _ => Err(errors),
        }
    }

    /// Reads the operation's selection from `root` alone: how a subscription is filled from a mutation's result.
    pub(crate) fn read(&self, inputs: Inputs<'_>, root: &Value) -> Executed {
        let execution = Execution::new(self, inputs);
        let object = execution.inputs.operation.object_type();
        let fields =
            execution.collector().root_fields(object, &execution.inputs.operation.selection_set.selections);
        let data = execution.object_now(object, root, &fields, Path::ROOT).ok();
        execution.finish(data)
    }
}

impl<'a> Execution<'a> {
    fn new(executor: &'a Executor, inputs: Inputs<'a>) -> Self {
        Self {
            executor,
            inputs,
            errors: Mutex::default(),
            resolved: AtomicUsize::new(0),
            batches: Batches::default(),
        }
    }

    fn finish(self, data: Option<Object>) -> Executed {
        Executed { data, errors: self.errors.into_inner().unwrap_or_else(PoisonError::into_inner) }
    }

    fn collector(&self) -> Collector<'_> {
        Collector {
            schema: &self.executor.definition.schema,
            document: &self.inputs.document.valid,
            variables: &self.inputs.variables,
        }
    }

    async fn root(&self) -> Result<Object, Nulled> {
        let operation = self.inputs.operation;
        let object = operation.object_type();
        let mut fields = self.collector().root_fields(object, &operation.selection_set.selections);
        let asked = fields.len();
        fields.retain(|_, fields| !matches!(fields[0].name.as_str(), "__schema" | "__type"));
        let introspected = if fields.len() < asked { self.introspect() } else { Vec::new() };
        let mut data = if operation.is_mutation() {
            let mut data = Object { type_name: object.clone(), fields: Vec::with_capacity(fields.len()) };
            for (key, fields) in &fields {
                data.fields.push(self.field(object, &Value::Null, key, fields, Path::ROOT).await?);
            }
            data
        } else {
            self.object(object, &Value::Null, &fields, Path::ROOT).await?
        };
        data.fields.extend(introspected);
        Ok(data)
    }

    fn introspect(&self) -> Vec<CompletedField> {
        let schema = &self.executor.definition.schema;
        let variables: JsonMap = self
            .inputs
            .variables
            .iter()
            .map(|(name, value)| (name.as_str().into(), serde_json_bytes::Value::from(value.clone())))
            .collect();
        let response = introspection::partial_execute(
            &schema.valid,
            &schema.implementers,
            &self.inputs.document.valid,
            self.inputs.operation,
            &Valid::assume_valid(variables),
        );
        match response.map(|response| response.data.unwrap_or_default()) {
            Ok(data) => match Output::introspected(serde_json_bytes::Value::Object(data)) {
                Output::Object(object) => object
                    .fields
                    .into_iter()
                    .filter(|field| !matches!(field.value, Output::Leaf(_)))
                    .collect(),
                _ => Vec::new(),
            },
            Err(error) => {
                let sources = &self.inputs.document.valid.sources;
                self.record(GraphqlError::Validation {
                    locations: Location::of(error.location(), sources),
                    message: error.message().to_string(),
                });
                Vec::new()
            }
        }
    }

    fn record(&self, error: GraphqlError) {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }

    fn record_failure(&self, failure: Failure, field: &Field, path: Path<'_>) {
        self.record(GraphqlError::Field(Box::new(FieldError {
            path: path.to_vec(),
            locations: Location::of(field.name.location(), &self.inputs.document.valid.sources),
            failure,
        })));
    }
}
