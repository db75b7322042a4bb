//! Functions that are closures, and templates that name them.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

pub(crate) mod sockets;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use lambda_host::{Invoke, InvokeError, Outcome};
use local_template::{Endpoints, LoadOptions, Stack};
use serde_json::{Value, json};
use tokio::sync::Notify;

type Handler = Box<dyn Fn(Value) -> BoxFuture<'static, Option<Value>> + Send + Sync>;

/// By a part of the function's name; None from a handler is a function error.
#[derive(Default)]
pub(crate) struct Functions {
    handlers: HashMap<&'static str, Handler>,
    events: Mutex<Vec<(&'static str, Value)>>,
    invoked: Notify,
}

impl Functions {
    pub(crate) fn on<F>(
        mut self,
        name: &'static str,
        handler: impl Fn(Value) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<Value>> + Send + 'static,
    {
        self.handlers.insert(name, Box::new(move |event| Box::pin(handler(event))));
        self
    }

    /// Always returns `value`.
    pub(crate) fn returning(self, name: &'static str, value: Value) -> Self {
        self.on(name, move |_| std::future::ready(Some(value.clone())))
    }

    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(function, _)| *function == name).map(|(_, event)| event.clone()).collect()
    }

    /// Waits until `name` has had so many events.
    pub(crate) async fn wait_for(&self, name: &str, count: usize) -> Vec<Value> {
        let arrived = async {
            loop {
                let next = self.invoked.notified();
                let events = self.events(name);
                if events.len() >= count {
                    return events;
                }
                next.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), arrived)
            .await
            .unwrap_or_else(|_| panic!("{name} x {count}"))
    }
}

#[async_trait]
impl Invoke for Functions {
    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Outcome, InvokeError> {
        let found = self.handlers.iter().find(|(name, _)| function.contains(**name));
        let (name, handler) = found.ok_or_else(|| InvokeError::UnknownFunction(function.to_owned()))?;
        let event: Value = serde_json::from_slice(&payload).unwrap();
        self.events.lock().unwrap().push((name, event.clone()));
        self.invoked.notify_waiters();
        Ok(match handler(event).await {
            Some(value) => Outcome { payload: value.to_string().into(), function_error: None },
            None => Outcome {
                payload: json!({"errorMessage": "boom"}).to_string().into(),
                function_error: Some("Unhandled".to_owned()),
            },
        })
    }

    async fn invoke_event(&self, _: &str, _: Bytes) -> Result<(), InvokeError> {
        Err(InvokeError::Host("no door sends events".to_owned()))
    }
}

pub(crate) fn stack(resources: &str) -> Stack {
    let text = format!(
        "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\nResources:\n{resources}"
    );
    let options = LoadOptions {
        stack_name: "test".to_owned(),
        region: "eu-central-1".to_owned(),
        account: "000000000000".to_owned(),
        parameters: BTreeMap::new(),
        endpoints: Endpoints {
            aws: "http://127.0.0.1:1".to_owned(),
            graphql: "http://127.0.0.1:2".to_owned(),
            http_api: "http://127.0.0.1:3".to_owned(),
            websocket_api: "http://127.0.0.1:4".to_owned(),
        },
    };
    Stack::parse(&text, &options).unwrap()
}

/// A function resource named `name`.
pub(crate) fn function(name: &str, events: &str) -> String {
    format!(
        "  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: target/lambda/{name}/\n      \
         Handler: bootstrap\n      Runtime: provided.al2023\n      FunctionName: {name}\n{events}"
    )
}

pub(crate) fn arc(functions: Functions) -> Arc<Functions> {
    Arc::new(functions)
}
