//! What clients and functions of the stack talk to: opened on the running stores, closed in reverse.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apigateway::{http, websocket};
use appsync::{Api, ApiDefinition, Caller, Certificate, Request};
use async_trait::async_trait;
use aws_config::SdkConfig;
use lambda_host::{Host, Invoke};
use local_template::{Stack, TemplateError};
use rds_data::{Cluster, DataApi};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::event_sources::{EventSources, Mutate, Wiring};
use crate::ports::{self, PortTaken, Ports, here};
use crate::up::Problem;

/// A client that keeps its connection open must not keep the stack up.
const CLOSE_WITHIN: Duration = Duration::from_secs(6);
/// The WebSocket API that clients reach by `/ocpp/{id}`, as through the foundation's edge.
const BEHIND_THE_EDGE: &str = "OcppApi";

/// What the doors serve, read from the template before anything runs.
pub(crate) struct Definitions {
    graphql: Option<ApiDefinition>,
    http_api: Option<http::ApiDefinition>,
    websocket_apis: Vec<websocket::ApiDefinition>,
}

/// The doors' ports, taken before anything else starts.
pub(crate) struct Listeners {
    graphql: TcpListener,
    graphql_tls: TcpListener,
    http_api: TcpListener,
    websocket_api: TcpListener,
    lambda: TcpListener,
    data_api: TcpListener,
}

/// The doors that are open.
pub(crate) struct Doors {
    /// Who the TLS door's clients must trust.
    pub(crate) authority: Option<PathBuf>,
    host: Arc<Host>,
    bus: Arc<Bus>,
    tasks: TaskTracker,
    closing: CancellationToken,
    sources: Option<EventSources>,
}

impl Definitions {
    /// Paths in the template are relative to `root`.
    pub(crate) fn read(stack: &Stack, root: &Path) -> Result<Self, TemplateError> {
        let mut apis = ApiDefinition::from_stack(stack, root)?;
        let graphql = apis.pop();
        match apis.first() {
            None => Ok(Self {
                graphql,
                http_api: http::ApiDefinition::from_stack(stack)?,
                websocket_apis: websocket::ApiDefinition::from_stack(stack)?,
            }),
            Some(other) => Err(TemplateError {
                place: format!("Resources.{}", other.logical_id),
                problem: "one GraphQL API is served on this machine, and this is another".to_owned(),
            }),
        }
    }
}

impl Listeners {
    pub(crate) fn open(ports: &Ports) -> Result<Self, PortTaken> {
        Ok(Self {
            graphql: ports::listen(ports.appsync, "AppSync")?,
            graphql_tls: ports::listen(ports.appsync_tls, "AppSync over TLS")?,
            http_api: ports::listen(ports.http_api, "the HTTP API")?,
            websocket_api: ports::listen(ports.websocket_api, "the WebSocket APIs")?,
            lambda: ports::listen(ports.lambda, "the Lambda Invoke API")?,
            data_api: ports::listen(ports.data_api, "the RDS Data API")?,
        })
    }
}

/// What every function finds in its environment on top of the template's, so that its SDK clients stay here.
pub(crate) fn function_environment(ports: &Ports) -> BTreeMap<String, String> {
    let url = |port| format!("http://{}", here(port));
    let table = [
        ("AWS_ENDPOINT_URL", url(ports.ministack)),
        ("AWS_ENDPOINT_URL_RDS_DATA", url(ports.data_api)),
        ("AWS_ENDPOINT_URL_LAMBDA", url(ports.lambda)),
        // Functions name the stage's own address; a client that was not told it must not go to ministack.
        ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", url(ports.websocket_api)),
    ];
    table.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Doors {
    /// Opens every door but the event sources, which may call functions at once.
    pub(crate) fn open(
        listeners: Listeners,
        definitions: Definitions,
        host: Arc<Host>,
        database: tokio_postgres::Config,
        (cluster_arn, cluster): (String, Cluster),
        data: &Path,
    ) -> Result<Self, Problem> {
        let mut doors = Self {
            authority: None,
            bus: Arc::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            sources: None,
            host,
        };
        let closing = doors.closing.clone();

        let data_api = DataApi::new(rds_data::Config::new(database, cluster_arn, cluster));
        let stop = closing.clone();
        doors.serve("the RDS Data API", on_a_thread_of_its_own(data_api, listeners.data_api, stop));

        let invoke_api = lambda_host::invoke_api(Arc::clone(&doors.host));
        let stop = closing.clone().cancelled_owned();
        let serving = axum::serve(listeners.lambda, invoke_api).with_graceful_shutdown(stop);
        doors.serve("the Lambda Invoke API", serving.into_future());

        if let Some(definition) = definitions.graphql {
            let certificate = Certificate::create(data)?;
            doors.authority = Some(certificate.authority.clone());
            let api = Api::new(definition, doors.invoke(), appsync::Options::default());
            doors.bus = Arc::new(Bus { graphql: Some(Arc::clone(&api)) });
            let (plain, stop) = (Arc::clone(&api), closing.clone());
            doors.serve("AppSync", async move { plain.serve(listeners.graphql, stop).await });
            let stop = closing.clone();
            let serving = async move { api.serve_tls(listeners.graphql_tls, &certificate, stop).await };
            doors.serve("AppSync over TLS", serving);
        }
        if let Some(definition) = definitions.http_api {
            let api = http::Api::new(definition, doors.invoke(), http::Options::default());
            let stop = closing.clone();
            doors.serve("the HTTP API", async move { api.serve(listeners.http_api, stop).await });
        }
        let apis = definitions.websocket_apis.into_iter().map(|definition| {
            let mut options = websocket::Options::default();
            if definition.logical_id != BEHIND_THE_EDGE {
                options.edge = None;
            }
            websocket::Api::new(definition, doors.invoke(), options)
        });
        let apis: Vec<_> = apis.collect();
        let stop = closing.clone();
        doors.serve("the WebSocket APIs", async move {
            websocket::serve(&apis, listeners.websocket_api, stop).await
        });
        Ok(doors)
    }

    fn invoke(&self) -> Arc<dyn Invoke> {
        Arc::clone(&self.host) as _
    }

    fn serve(&self, name: &'static str, serving: impl Future<Output = io::Result<()>> + Send + 'static) {
        self.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!("{name} stopped serving: {error}");
            }
        });
    }

    /// Starts what runs functions without a caller. The stack's queues and rules must be there.
    pub(crate) async fn start_sources(&mut self, stack: &Stack, sdk: &SdkConfig) -> Result<(), Problem> {
        let wiring = Wiring {
            sqs: aws_sdk_sqs::Client::new(sdk),
            eventbridge: aws_sdk_eventbridge::Client::new(sdk),
            invoke: self.invoke(),
            mutate: Arc::clone(&self.bus) as _,
        };
        self.sources = Some(EventSources::start(stack, wiring).await?);
        Ok(())
    }

    /// Takes no more, finishes what is in hand, and ends every function.
    pub(crate) async fn close(self) {
        if let Some(sources) = self.sources
            && tokio::time::timeout(CLOSE_WITHIN, sources.stop()).await.is_err()
        {
            tracing::warn!("an event source was still at work and is cut off");
        }
        self.closing.cancel();
        self.tasks.close();
        // Whoever is still connected has had the time to finish.
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.tasks.wait()).await;
        self.host.shutdown().await;
    }
}

/// A statement goes from its caller's connection to PostgreSQL's and back: half the work, when neither has to wake another
/// thread.
async fn on_a_thread_of_its_own(
    api: DataApi,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = listener.into_std()?;
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("data-api".to_owned()).spawn(move || {
        let serving = async move { api.serve(TcpListener::from_std(listener)?, stop).await };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Nobody waits any more for what takes too long to end.
        let _ = ended.send(runtime.and_then(|runtime| runtime.block_on(serving)));
    })?;
    end.await.unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
}

/// The event bus as a caller of the GraphQL API.
#[derive(Default)]
struct Bus {
    graphql: Option<Arc<Api>>,
}

#[async_trait]
impl Mutate for Bus {
    async fn mutate(&self, api_id: &str, operation: &str, variables: Value) -> Result<(), String> {
        let api = self.graphql.as_ref().filter(|api| api.definition().api_id == api_id);
        let api = api.ok_or_else(|| format!("no GraphQL API {api_id}"))?;
        let Value::Object(variables) = variables else {
            return Err(format!("the variables are {variables}, not an object"));
        };
        let account = &api.definition().account_id;
        let principal = format!("arn:aws:sts::{account}:assumed-role/events/target");
        let caller = Caller::iam(account, &principal, "127.0.0.1");
        let response = api.execute(&Request::new(operation, variables), &caller).await;
        match response.errors() {
            [] => Ok(()),
            _ => Err(serde_json::to_string(&response).unwrap_or_else(|error| error.to_string())),
        }
    }
}
