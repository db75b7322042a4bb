//! An API on a free port, its functions closures.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use appsync::{Api, ApiDefinition, Options};
use bytes::Bytes;
use lambda_host::{Invoke, InvokeError, Outcome};
use local_template::{Resource, Stack, TemplateError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub(crate) const API_KEY: &str = "da2-aaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const EXPIRED_KEY: &str = "da2-bbbbbbbbbbbbbbbbbbbbbbbbbb";
pub(crate) const TOKEN: &str = "token-1";
const SCHEMA: &str = include_str!("schema.graphql");
const JS: &str = include_str!("resolver.js");

type Handler = Box<dyn Fn(Value) -> Result<Value, Value> + Send + Sync>;

/// Functions by name, and every call they received.
#[derive(Default)]
pub(crate) struct Functions {
    handlers: HashMap<String, Handler>,
    calls: Mutex<Vec<(String, Value)>>,
}

impl Functions {
    pub(crate) fn calls(&self, function: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(name, _)| name == function).map(|(_, payload)| payload.clone()).collect()
    }
}

#[async_trait::async_trait]
impl Invoke for Functions {
    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Outcome, InvokeError> {
        let name = function.rsplit(':').next().unwrap_or_default().to_owned();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        self.calls.lock().unwrap().push((name.clone(), payload.clone()));
        let handler = self.handlers.get(&name).ok_or_else(|| InvokeError::UnknownFunction(name.clone()))?;
        let (answer, function_error) = match handler(payload) {
            Ok(answer) => (answer, None),
            Err(document) => (document, Some("Unhandled".to_owned())),
        };
        Ok(Outcome { payload: answer.to_string().into(), function_error })
    }

    async fn invoke_event(&self, function: &str, payload: Bytes) -> Result<(), InvokeError> {
        self.invoke(function, payload).await.map(|_| ())
    }
}

/// A template being written.
pub(crate) struct Setup {
    pub(crate) api: Value,
    pub(crate) schema: String,
    pub(crate) options: Options,
    resources: Vec<(String, String, Value, Value)>,
    functions: Functions,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let mut setup = Self {
            api: json!({
                "Name": "test",
                "AuthenticationType": "AWS_LAMBDA",
                "LambdaAuthorizerConfig": {
                    "AuthorizerUri": arn("authorize"),
                    "AuthorizerResultTtlInSeconds": 0,
                },
                "AdditionalAuthenticationProviders": [
                    {"AuthenticationType": "API_KEY"},
                    {"AuthenticationType": "AWS_IAM"},
                ],
            }),
            schema: SCHEMA.to_owned(),
            options: Options::default(),
            resources: Vec::new(),
            functions: Functions::default(),
        };
        setup.add("Key", "ApiKey", json!({}), json!({"ApiKey": API_KEY}));
        setup.add("OldKey", "ApiKey", json!({"Expires": 1_000}), json!({"ApiKey": EXPIRED_KEY}));
        setup.add("Nothing", "DataSource", json!({"Name": "Nothing", "Type": "NONE"}), json!({}));
        setup.function("authorize", |question| {
            Ok(json!({
                "isAuthorized": question["authorizationToken"] == TOKEN,
                "resolverContext": {"userId": "u1"},
            }))
        })
    }

    pub(crate) fn add(&mut self, logical: &str, kind: &str, mut properties: Value, attributes: Value) {
        properties["ApiId"] = "api1".into();
        self.resources.push((logical.to_owned(), format!("AWS::AppSync::{kind}"), properties, attributes));
    }

    pub(crate) fn function(
        mut self,
        name: &str,
        handler: impl Fn(Value) -> Result<Value, Value> + Send + Sync + 'static,
    ) -> Self {
        self.functions.handlers.insert(name.to_owned(), Box::new(handler));
        let source =
            json!({"Name": name, "Type": "AWS_LAMBDA", "LambdaConfig": {"LambdaFunctionArn": arn(name)}});
        self.add(&format!("{name}Source"), "DataSource", source, json!({}));
        self
    }

    /// A resolver of `Type.field` by a function, direct or with `extra` properties.
    pub(crate) fn resolver(mut self, field: &str, source: &str, extra: Value) -> Self {
        let (type_name, field_name) = field.split_once('.').unwrap();
        let mut properties =
            json!({"TypeName": type_name, "FieldName": field_name, "DataSourceName": source});
        properties.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        self.add(&field.replace('.', ""), "Resolver", properties, json!({}));
        self
    }

    pub(crate) fn direct(
        self,
        field: &str,
        handler: impl Fn(Value) -> Result<Value, Value> + Send + Sync + 'static,
    ) -> Self {
        let name = field.replace('.', "-");
        self.function(&name, handler).resolver(field, &name, json!({}))
    }

    pub(crate) fn scripted(
        self,
        field: &str,
        handler: impl Fn(Value) -> Result<Value, Value> + Send + Sync + 'static,
    ) -> Self {
        let name = field.replace('.', "-");
        self.function(&name, handler).resolver(field, &name, code(JS))
    }

    pub(crate) fn stack(&self) -> Stack {
        let mut resources = BTreeMap::new();
        let mut put = |logical: &str, kind: &str, properties: Value, attributes: &Value| {
            let attributes = attributes.as_object().unwrap();
            resources.insert(
                logical.to_owned(),
                Resource {
                    logical_id: logical.to_owned(),
                    kind: kind.to_owned(),
                    physical_id: logical.to_owned(),
                    properties,
                    attributes: attributes
                        .iter()
                        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                        .collect(),
                },
            );
        };
        let api_arn = "arn:aws:appsync:eu-central-1:000000000000:apis/api1";
        put("Api", "AWS::AppSync::GraphQLApi", self.api.clone(), &json!({"ApiId": "api1", "Arn": api_arn}));
        let schema = json!({"ApiId": "api1", "Definition": self.schema});
        put("Schema", "AWS::AppSync::GraphQLSchema", schema, &json!({}));
        for (logical, kind, properties, attributes) in &self.resources {
            put(logical, kind, properties.clone(), attributes);
        }
        Stack { name: "test".to_owned(), resources, outputs: BTreeMap::new() }
    }

    pub(crate) fn definition(&self) -> Result<ApiDefinition, TemplateError> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api");
        Ok(ApiDefinition::from_stack(&self.stack(), &root)?.remove(0))
    }

    pub(crate) async fn serve(self) -> Running {
        let definition = self.definition().unwrap();
        let functions = Arc::new(self.functions);
        let api = Api::new(definition, Arc::clone(&functions) as Arc<dyn Invoke>, self.options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(Arc::clone(&api).serve(listener, stop.clone()));
        Running { api, functions, address, stop, served }
    }
}

pub(crate) fn arn(function: &str) -> String {
    format!("arn:aws:lambda:eu-central-1:000000000000:function:{function}")
}

pub(crate) fn code(text: &str) -> Value {
    json!({"Runtime": {"Name": "APPSYNC_JS", "RuntimeVersion": "1.0.0"}, "Code": text})
}

/// An API that listens.
pub(crate) struct Running {
    pub(crate) api: Arc<Api>,
    pub(crate) functions: Arc<Functions>,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: String) -> reqwest::Response {
        let mut request = reqwest::Client::new().post(self.url()).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// As the authorized driver; 200 is asserted.
    pub(crate) async fn query(&self, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables}).to_string();
        let response = self.post(&[("authorization", TOKEN)], body).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }
}
