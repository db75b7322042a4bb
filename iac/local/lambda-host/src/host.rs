//! The functions of a stack, ready to be invoked. Owns the Runtime API's listener and every process.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::serve::ListenerExt;
use bytes::Bytes;
use local_template::{Stack, TemplateError};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::asynchronous::deliver;
use crate::forward::Forwarder;
use crate::function::{Function, name_of};
use crate::invoke::{Invoke, InvokeError, Outcome};
use crate::options::Options;
use crate::outcome::{MAX_EVENT, MAX_REQUEST};
use crate::pool::Pool;
use crate::properties::FunctionProperties;
use crate::report::ProcessReport;
use crate::runtime_api::{self, Pools};

/// Why a host cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A function's properties are not ones this host can honour.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// No port could be had for the Runtime API.
    #[error("the Runtime API cannot listen on 127.0.0.1: {0}")]
    Listen(#[from] std::io::Error),
}

/// What runs a function: the endpoint that was asked for, if it has it, else our own processes.
pub(crate) struct Backend {
    pools: Pools,
    forwarder: Option<Forwarder>,
}

impl Backend {
    pub(crate) async fn invoke(&self, function: &str, payload: Bytes) -> Result<Outcome, InvokeError> {
        let pool = self.pool(function)?;
        if payload.len() > MAX_REQUEST {
            return Err(InvokeError::TooLarge);
        }
        if let Some(forwarder) = &self.forwarder
            && let Some(answer) = forwarder.invoke(&pool.function, payload.clone()).await
        {
            return answer;
        }
        pool.invoke(payload).await
    }

    /// By name; or by logical id, which people know.
    fn pool(&self, function: &str) -> Result<&Arc<Pool>, InvokeError> {
        let name = name_of(function);
        let by_logical_id = || self.pools.values().find(|pool| pool.function.logical_id == name);
        let pool = self.pools.get(name).or_else(by_logical_id);
        pool.ok_or_else(|| InvokeError::UnknownFunction(name.to_owned()))
    }
}

/// Every function of a stack. Processes end with [`Host::shutdown`], or when the host is dropped.
pub struct Host {
    backend: Arc<Backend>,
    options: Arc<Options>,
    stopping: CancellationToken,
    tasks: TaskTracker,
    _on_drop: DropGuard,
}

impl Host {
    /// Reads the stack's `AWS::Serverless::Function`s and opens the Runtime API on a free port. Starts no
    /// process: each is started by its first invocation.
    pub async fn from_stack(stack: &Stack, options: Options) -> Result<Arc<Self>, HostError> {
        let options = Arc::new(options);
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let runtime_api = format!("http://{}", listener.local_addr()?);

        let mut pools = HashMap::new();
        for (resource, properties) in stack.of_kind::<FunctionProperties>("AWS::Serverless::Function")? {
            let function = Function::new(resource, properties, &options.bin_dir)
                .map_err(|problem| resource.refuse("", problem))?;
            let name = function.name.clone();
            let (options, runtime_api) = (Arc::clone(&options), runtime_api.clone());
            let pool = Pool::new(function, options, runtime_api, stopping.clone(), tasks.clone());
            pools.insert(name, Arc::new(pool));
        }
        let pools: Pools = Arc::new(pools);
        let forwarder = options.forward.clone().map(|endpoint| {
            let functions = pools.values().map(|pool| &pool.function);
            Forwarder::new(endpoint, functions)
        });

        let api = runtime_api::router(Arc::clone(&pools));
        // Without it, an answer of two segments waits for the other side's delayed acknowledgement.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let (serving, finished) = (axum::serve(listener, api), stopping.clone());
        let processes = tasks.clone();
        tokio::spawn(async move {
            // It serves until the last process has ended: a busy one may still want to answer.
            tokio::select! {
                _ = serving.into_future() => {}
                () = async { finished.cancelled().await; processes.wait().await } => {}
            }
        });

        Ok(Arc::new(Self {
            backend: Arc::new(Backend { pools, forwarder }),
            options,
            _on_drop: stopping.clone().drop_guard(),
            stopping,
            tasks,
        }))
    }

    /// The function with that name or ARN.
    pub fn function(&self, function: &str) -> Option<&Function> {
        self.backend.pool(function).ok().map(|pool| &pool.function)
    }

    /// Every function, in no order.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.backend.pools.values().map(|pool| &pool.function)
    }

    /// The living processes, by function name.
    pub fn report(&self) -> Vec<ProcessReport> {
        let mut report: Vec<_> = self.backend.pools.values().flat_map(|pool| pool.report()).collect();
        report.sort_by(|a, b| (&a.function, a.pid).cmp(&(&b.function, b.pid)));
        report
    }

    /// Ends every idle process, so that the next invocation of each function starts cold.
    pub fn retire_idle(&self) {
        for pool in self.backend.pools.values() {
            pool.retire_idle();
        }
    }

    /// Refuses new work, ends every process (SIGTERM, then SIGKILL) and returns when none is left.
    pub async fn shutdown(&self) {
        for pool in self.backend.pools.values() {
            pool.close();
        }
        self.tasks.close();
        self.stopping.cancel();
        self.tasks.wait().await;
    }
}

#[async_trait]
impl Invoke for Host {
    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Outcome, InvokeError> {
        self.backend.invoke(function, payload).await
    }

    async fn invoke_event(&self, function: &str, payload: Bytes) -> Result<(), InvokeError> {
        let function = self.backend.pool(function)?.function.clone();
        if payload.len() > MAX_EVENT {
            return Err(InvokeError::TooLarge);
        }
        let delivery = deliver(Arc::clone(&self.backend), function, payload, Arc::clone(&self.options));
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move { stopping.run_until_cancelled(delivery).await });
        Ok(())
    }
}
