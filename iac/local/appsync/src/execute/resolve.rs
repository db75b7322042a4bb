//! Runs a field's resolver: its code, its data source, its code again; or each function of a pipeline in turn.

use std::sync::atomic::Ordering;

use apollo_compiler::executable::Field;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::Execution;
use super::batch::BatchKey;
use super::info::SelectionText;
use super::lambda::{self, Fault};
use super::path::Path;
use crate::definition::{DataSource, Resolver, Step};
use crate::error::Failure;
use crate::javascript::{Handler, Outcome, Script, SkipTo};

/// The context object, whole for a direct Lambda resolver and for code alike.
#[derive(Serialize)]
struct Context<'a> {
    arguments: &'a Map<String, Value>,
    identity: &'a RawValue,
    source: &'a Value,
    request: &'a RawValue,
    prev: Option<Previous<'a>>,
    info: Info<'a>,
    stash: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<&'a Map<String, Value>>,
}

#[derive(Clone, Copy, Serialize)]
struct Previous<'a> {
    result: &'a RawValue,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    field_name: &'a str,
    parent_type_name: &'a str,
    variables: &'a Map<String, Value>,
    selection_set_list: &'a [String],
    #[serde(rename = "selectionSetGraphQL")]
    selection_set_graphql: &'a str,
}

/// One resolver call in progress.
struct Call<'a> {
    execution: &'a Execution<'a>,
    arguments: &'a Map<String, Value>,
    source: &'a Value,
    info: Info<'a>,
    fields: &'a [&'a Field],
    path: Path<'a>,
    stash: Box<RawValue>,
}

/// What `request` returned for a Lambda data source.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LambdaRequest {
    operation: Option<LambdaOperation>,
    payload: Option<Box<RawValue>>,
    invocation_type: Option<InvocationType>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
enum LambdaOperation {
    Invoke,
    BatchInvoke,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
enum InvocationType {
    RequestResponse,
    Event,
}

/// A step's result, and whether the pipeline's other steps are to be skipped.
struct Stepped {
    result: Box<RawValue>,
    skip_rest: bool,
}

impl Execution<'_> {
    /// The value of the field by resolver `index`.
    pub(super) async fn resolve(
        &self,
        index: usize,
        arguments: &Map<String, Value>,
        source: &Value,
        parent: &str,
        fields: &[&Field],
        path: Path<'_>,
    ) -> Result<Value, Box<Failure>> {
        let definition = &self.executor.definition;
        if self.resolved.fetch_add(1, Ordering::Relaxed) >= definition.resolver_limit {
            return Err(Box::new(Failure::new(
                "ResolverExecutionLimitReached",
                format!("The request needs more than {} resolvers.", definition.resolver_limit),
            )));
        }
        let Some(resolver) = definition.resolvers.get(index) else { return Ok(Value::Null) };
        let text = self.inputs.document.info.text(self.collector(), fields);
        let SelectionText { list, graphql } = &*text;
        let info = Info {
            field_name: &fields[0].name,
            parent_type_name: parent,
            variables: self.inputs.sent_variables,
            selection_set_list: list,
            selection_set_graphql: graphql,
        };
        let stash = to_raw_value(&Map::new()).map_err(internal)?;
        let mut call = Call { execution: self, arguments, source, info, fields, path, stash };
        let result = match resolver {
            Resolver::Unit(step) => call.step(step, None).await?.result,
            Resolver::Pipeline { code, steps } => call.pipeline(code.as_deref(), steps).await?,
        };
        serde_json::from_str(result.get()).map_err(internal)
    }
}

impl Call<'_> {
    async fn pipeline(
        &mut self,
        code: Option<&Script>,
        steps: &[Step],
    ) -> Result<Box<RawValue>, Box<Failure>> {
        let mut previous = RawValue::NULL.to_owned();
        let mut skip = false;
        if let Some(script) = code {
            let outcome: Outcome<Box<RawValue>> = self.run(script, Handler::Request, None, None, None)?;
            (previous, skip) = match outcome.early {
                Some(early) => (early.value, true),
                None => (outcome.value.unwrap_or_else(|| RawValue::NULL.to_owned()), false),
            };
        }
        for step in steps {
            if skip {
                break;
            }
            let stepped = self.step(step, Some(&previous)).await?;
            (previous, skip) = (stepped.result, stepped.skip_rest);
        }
        match code {
            Some(script) => {
                let outcome: Outcome<Box<RawValue>> =
                    self.run(script, Handler::Response, Some(&previous), Some(&previous), None)?;
                Ok(outcome.into_value())
            }
            None => Ok(previous),
        }
    }

    async fn step(&mut self, step: &Step, previous: Option<&RawValue>) -> Result<Stepped, Box<Failure>> {
        let Some(script) = step.code.as_deref() else {
            return self.direct(step, previous).await.map(|result| Stepped { result, skip_rest: false });
        };
        let outcome = match &step.data_source {
            DataSource::Lambda(function) => {
                let outcome: Outcome<LambdaRequest> =
                    self.run(script, Handler::Request, previous, None, None)?;
                if let Some(early) = outcome.early {
                    return Ok(Stepped { result: early.value, skip_rest: early.skip_to == SkipTo::End });
                }
                let request = outcome.value.ok_or_else(|| {
                    Failure::new("Code", format!("{}: request() returned nothing", script.place()))
                })?;
                self.ask(step, function, request).await
            }
            DataSource::None => {
                let outcome: Outcome<Map<String, Value>> =
                    self.run(script, Handler::Request, previous, None, None)?;
                if let Some(early) = outcome.early {
                    return Ok(Stepped { result: early.value, skip_rest: early.skip_to == SkipTo::End });
                }
                let payload = outcome.value.and_then(|mut request| request.remove("payload"));
                Ok(to_raw_value(&payload).map_err(internal)?)
            }
        };
        let (result, fault) = match &outcome {
            Ok(result) => (Some(&**result), None),
            Err(fault) => (None, Some(fault)),
        };
        let outcome: Outcome<Box<RawValue>> = self.run(script, Handler::Response, previous, result, fault)?;
        let skip_rest = outcome.early.as_ref().is_some_and(|early| early.skip_to == SkipTo::End);
        Ok(Stepped { result: outcome.into_value(), skip_rest })
    }

    async fn ask(&self, step: &Step, function: &str, request: LambdaRequest) -> Result<Box<RawValue>, Fault> {
        let executor = self.execution.executor;
        let payload = request.payload.unwrap_or_else(|| RawValue::NULL.to_owned());
        match (request.operation, request.invocation_type) {
            (_, Some(InvocationType::Event)) => lambda::send(executor, function, &payload).await,
            (Some(LambdaOperation::BatchInvoke), _) => {
                // Code that asks for a batch where the resolver allows none sends batches of one.
                let max = step.max_batch.max(1);
                self.execution.batches.call(executor, function, self.batch_key(step), max, payload).await
            }
            _ => lambda::invoke(executor, function, &payload).await,
        }
    }

    /// A resolver without code: the function receives the context and its answer is the value.
    async fn direct(&self, step: &Step, previous: Option<&RawValue>) -> Result<Box<RawValue>, Box<Failure>> {
        let executor = self.execution.executor;
        let DataSource::Lambda(function) = &step.data_source else { return Ok(RawValue::NULL.to_owned()) };
        let context = self.context(previous, None, None);
        let answer = if step.max_batch > 0 {
            let payload = to_raw_value(&context).map_err(internal)?;
            let key = self.batch_key(step);
            let answer = self.execution.batches.call(executor, function, key, step.max_batch, payload).await;
            return answer.map_err(|fault| Box::new(fault.into())).and_then(unwrap_item);
        } else {
            lambda::invoke(executor, function, &context).await
        };
        answer.map_err(|fault| Box::new(fault.into()))
    }

    fn batch_key(&self, step: &Step) -> BatchKey {
        BatchKey { step: std::ptr::from_ref(step).addr(), field: std::ptr::from_ref(self.fields[0]).addr() }
    }

    fn context<'b>(
        &'b self,
        previous: Option<&'b RawValue>,
        result: Option<&'b RawValue>,
        error: Option<&'b Fault>,
    ) -> Context<'b> {
        let environment = &self.execution.executor.definition.environment;
        Context {
            arguments: self.arguments,
            identity: &self.execution.inputs.caller.identity,
            source: self.source,
            request: self.execution.inputs.request,
            prev: previous.map(|result| Previous { result }),
            info: self.info,
            stash: &self.stash,
            result,
            error,
            env: (!environment.is_empty()).then_some(environment),
        }
    }

    /// Runs one handler of `script`, keeps its stash and reports what it appended. What it threw is the error.
    fn run<T: for<'de> Deserialize<'de>>(
        &mut self,
        script: &Script,
        handler: Handler,
        previous: Option<&RawValue>,
        result: Option<&RawValue>,
        error: Option<&Fault>,
    ) -> Result<Outcome<T>, Box<Failure>> {
        let context = serde_json::to_string(&self.context(previous, result, error)).map_err(internal)?;
        let mut outcome: Outcome<T> = script.call(handler, &context)?;
        self.stash = std::mem::replace(&mut outcome.stash, RawValue::NULL.to_owned());
        let field = self.fields[0];
        for mut failure in outcome.appended.drain(..) {
            failure.data = self.selected(failure.data);
            self.execution.record_failure(failure, field, self.path);
        }
        match outcome.thrown.take() {
            None => Ok(outcome),
            Some(thrown) if thrown.unauthorized => {
                Err(Box::new(Failure::unauthorized(self.info.field_name, self.info.parent_type_name)))
            }
            Some(thrown) => {
                let mut failure = thrown.failure;
                failure.data = self.selected(failure.data);
                Err(Box::new(failure))
            }
        }
    }

    /// An error's `data` shows no more of an object than the client selected.
    fn selected(&self, data: Value) -> Value {
        match data {
            Value::Object(mut fields) => {
                let selected = self.info.selection_set_list;
                fields.retain(|name, _| selected.iter().any(|path| path == name));
                Value::Object(fields)
            }
            data => data,
        }
    }
}

/// An item is either the value itself or a value and its error under these four keys.
fn unwrap_item(answer: Box<RawValue>) -> Result<Box<RawValue>, Box<Failure>> {
    const KEYS: [&str; 4] = ["data", "errorMessage", "errorType", "errorInfo"];
    let Ok(mut item) = serde_json::from_str::<Map<String, Value>>(answer.get()) else { return Ok(answer) };
    let wrapped = (item.contains_key("data") || item.contains_key("errorMessage"))
        && item.keys().all(|key| KEYS.contains(&key.as_str()));
    if !wrapped {
        return Ok(answer);
    }
    let mut take = |key: &str| item.remove(key).unwrap_or_default();
    let data = take("data");
    match (take("errorMessage"), take("errorType")) {
        (Value::Null, Value::Null) => to_raw_value(&data).map_err(internal),
        (message, error_type) => Err(Box::new(Failure {
            error_type: error_type.as_str().map(str::to_owned),
            message: message.as_str().unwrap_or_default().to_owned(),
            data,
            info: take("errorInfo"),
        })),
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(fault.kind, fault.message)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn internal(error: serde_json::Error) -> Box<Failure> {
    tracing::error!(%error, "a value that this crate wrote is not JSON");
    Box::new(Failure::new("InternalFailure", "Internal failure."))
}
