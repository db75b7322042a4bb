//! `local up`: everything in the order it needs, then a wait, then everything in the reverse order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use appsync::CertificateError;
use bytes::Bytes;
use lambda_host::{Forward, Host, HostError, Invoke, Options};
use local_template::{Endpoints, LoadOptions, Stack, TemplateError};
use rds_data::Cluster;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::addresses::{Addresses, StackFile};
use crate::cli::UpArgs;
use crate::doors::{self, Definitions, Doors, Listeners};
use crate::environment::{self, EnvironmentError};
use crate::event_sources::EventSourceError;
use crate::failed_events;
use crate::foundation::{DATABASE, Foundation, WEBHOOK_SECRET};
use crate::keys::{self, KeyError};
use crate::lock::{self, LockError};
use crate::ports::{PortTaken, here};
use crate::resources::{self, Plan, ResourceError};
use crate::schema::{self, SchemaError};
use crate::stores::{self, Places, Settings, StoreError, Stores, Stripe, Webhook, process};

/// ministack's account, and that of every ARN here.
const ACCOUNT: &str = "000000000000";

/// How long a program under `local run` has to end by itself after a Ctrl-C, and when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Why the stack is not up.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum Problem {
    Lock(#[from] LockError),
    Port(#[from] PortTaken),
    Schema(#[from] SchemaError),
    Template(#[from] TemplateError),
    Key(#[from] KeyError),
    Store(#[from] StoreError),
    Resource(#[from] ResourceError),
    Host(#[from] HostError),
    Certificate(#[from] CertificateError),
    EventSource(#[from] EventSourceError),
    Environment(#[from] EnvironmentError),
    Io(#[from] std::io::Error),
    #[error("{0} cannot be run: {1}")]
    Program(String, std::io::Error),
    #[error(
        "the migrations failed: {0}; the log says why, and `make clean` removes data of an older version"
    )]
    Migration(String),
}

/// Runs the stack until a signal, until one of its stores ends, or until `program` does, whose status it then gives.
pub(crate) async fn up(args: UpArgs, program: Option<Vec<OsString>>) -> Result<ExitCode, Problem> {
    let began = Instant::now();
    let _lock = lock::take(&args.data)?;
    let data = args.data.canonicalize()?;
    let stopping = stop_on_signals(data.clone())?;
    StackFile::remove(&data);
    process::stop_leftovers(&data).await;

    let plan = Blueprint::read(&args, data.clone())?;
    let doors = Listeners::open(&plan.settings.ports)?;
    plan.settings.check_ports()?;

    let starting = Stores::start(&plan.places, &plan.settings);
    let (stores, mut processes) = tokio::select! {
        stores = starting => stores?,
        () = stopping.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    info!("the stores are up after {} ms", began.elapsed().as_millis());

    let halting = stopping.child_token();
    let serving = serve(&args, program, plan, &stores, doors, began, &halting);
    tokio::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        death = processes.died() => {
            halting.cancel();
            serving.await.and(Err(death.into()))
        }
    };
    StackFile::remove(&data);
    processes.stop().await;
    info!("stopped");
    served
}

/// Everything that is known before anything runs, so that a mistake in it starts nothing.
struct Blueprint {
    places: Places,
    settings: Settings,
    foundation: Foundation,
    stack: Stack,
    resources: Plan,
    definitions: Definitions,
}

impl Blueprint {
    fn read(args: &UpArgs, data: PathBuf) -> Result<Self, Problem> {
        let root = args.template.parent().filter(|path| !path.as_os_str().is_empty());
        let root = root.unwrap_or(Path::new(".")).canonicalize()?;
        if root.join("graphql").is_dir() {
            schema::join(&root.join("graphql"), &root.join("target/schema.graphql"))?;
        }
        let ports = args.ports();
        let places = Places { data, tools: args.tools.clone() };
        let webhook = Webhook {
            url: format!("http://{}/webhooks/stripe", here(ports.http_api)),
            secret: WEBHOOK_SECRET.to_owned(),
        };
        let launcher = args.stripe_server.clone().unwrap_or_else(|| root.join("tests/tools/localstripe"));
        let settings = Settings {
            ports,
            region: args.region.clone(),
            no_fsync: args.no_fsync,
            mongo_uri: std::env::var("MONGODB_URI").ok().filter(|uri| !uri.is_empty()),
            ocm_server: args.ocm_server.clone(),
            stripe: Stripe::find(&places, launcher, webhook),
        };
        let ocm_url = settings.ocm_url().unwrap_or_else(|| args.ocm_url.to_string());
        let foundation = Foundation {
            region: args.region.clone(),
            account: ACCOUNT.to_owned(),
            redis_url: settings.redis_url(),
            mongo_uri: settings.mongo_uri(),
            ocm_url: ocm_url.trim_end_matches('/').to_owned(),
            ocm_key: args.ocm_key.clone(),
            signing_key: keys::signing_key(&places.data)?,
            invoice_link_key: keys::invoice_link_key(&places.data)?,
            stripe_url: settings.stripe_url(),
        };
        let mut parameters = foundation.parameters();
        parameters.extend(args.parameters.iter().cloned());
        let options = LoadOptions {
            stack_name: args.stack_name.clone(),
            region: args.region.clone(),
            account: ACCOUNT.to_owned(),
            parameters,
            endpoints: Endpoints {
                aws: format!("http://{}", here(ports.ministack)),
                graphql: format!("http://{}", here(ports.appsync)),
                http_api: format!("http://{}", here(ports.http_api)),
                websocket_api: format!("http://{}", here(ports.websocket_api)),
            },
        };
        let stack = Stack::load(&args.template, &options)?;
        let resources = Plan::read(&stack)?;
        let definitions = Definitions::read(&stack, &root)?;
        Ok(Self { places, settings, foundation, stack, resources, definitions })
    }
}

/// Opens the doors on running stores, waits, and closes them again.
async fn serve(
    args: &UpArgs,
    program: Option<Vec<OsString>>,
    plan: Blueprint,
    stores: &Stores,
    listeners: Listeners,
    began: Instant,
    stopping: &CancellationToken,
) -> Result<ExitCode, Problem> {
    let Blueprint { settings, foundation, stack, resources: plan, places, definitions } = plan;
    let sdk = resources::sdk_config(&stores.ministack.url, &settings.region);
    let options = Options {
        on_failure: failed_events::sink(&sdk),
        extra_env: function_environment(args, &settings),
        forward: args
            .invoke_endpoint
            .clone()
            .map(|endpoint| Forward { endpoint, only: args.invoke_only.clone() }),
        ..Options::new(&args.bin_dir)
    };
    let host = Host::from_stack(&stack, options).await?;
    warn_of_missing_binaries(&host, &args.bin_dir);
    if stores.stripe.is_none() {
        tracing::warn!("localstripe is not installed (`make tools`): nobody answers for cards");
    }
    let secret_arn = foundation.database_secret_arn();
    let cluster = (foundation.cluster_arn(), Cluster { secret_arn, database: DATABASE.to_owned() });
    let database = stores::postgres_config(settings.ports.postgres);
    let mut doors = Doors::open(listeners, definitions, Arc::clone(&host), database, cluster, &places.data)?;

    let secrets = foundation.secrets();
    let opened = tokio::select! {
        opened = async {
            // Migrations need the database alone.
            let resources = async { Ok(plan.create(&sdk, &secrets).await?) };
            tokio::try_join!(resources, migrate(&host, &stack))?;
            doors.start_sources(&stack, &sdk).await?;
            let file = StackFile {
                pid: std::process::id(),
                stack_name: stack.name.clone(),
                region: args.region.clone(),
                account: ACCOUNT.to_owned(),
                started_in_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                addresses: Addresses::of(&settings.ports),
                api_key: api_key(&stack),
                certificate: doors.authority.clone(),
                stores: stores.clone(),
                resources: physical_ids(&stack),
                outputs: stack.outputs.clone(),
                functions: environment::functions(&stack, &environment_here(args, &settings)),
            };
            file.write(&places.data)?;
            println!("{file}");
            Ok(())
        } => opened,
        () = stopping.cancelled() => Ok(()),
    };
    let ended = match (opened, program) {
        (Err(problem), _) => Err(problem),
        (Ok(()), Some(program)) if !stopping.is_cancelled() => run(&program, &places.data, stopping).await,
        (Ok(()), _) => {
            stopping.cancelled().await;
            Ok(ExitCode::SUCCESS)
        }
    };
    info!("stopping");
    doors.close().await;
    ended
}

/// Runs `program` against the open stack. A Ctrl-C at the terminal reaches it, too; a stop by other means is passed on.
async fn run(program: &[OsString], data: &Path, stopping: &CancellationToken) -> Result<ExitCode, Problem> {
    let Some((name, arguments)) = program.split_first() else { return Ok(ExitCode::SUCCESS) };
    let failed = |error: std::io::Error| Problem::Program(name.to_string_lossy().into_owned(), error);
    let mut child = Command::new(name)
        .args(arguments)
        .env("EV_STACK", data.join("stack.json"))
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    tokio::select! {
        status = child.wait() => {
            let code = status.map_err(failed)?.code().and_then(|code| u8::try_from(code).ok());
            Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
        }
        () = stopping.cancelled() => {
            // A Ctrl-C at the terminal was for the program, too, which may be about to end well.
            let mut ended = tokio::time::timeout(ENDS_WITHIN, child.wait()).await;
            if ended.is_err() {
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
                    // It may have ended at this very moment.
                    let _ = kill_process(pid, Signal::TERM);
                }
                ended = tokio::time::timeout(STOP_WITHIN, child.wait()).await;
            }
            let code = ended.ok().and_then(Result::ok).and_then(|status| status.code());
            Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::from(130), ExitCode::from))
        }
    }
}

/// What this machine adds to a function's variables, for one that the host does not start.
fn environment_here(args: &UpArgs, settings: &Settings) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        variables.insert(name.to_owned(), settings.region.clone());
    }
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        variables.insert(name.to_owned(), "local".to_owned());
    }
    variables.extend(function_environment(args, settings));
    variables
}

/// What every function finds over its template's variables: this machine's addresses, and what was asked for.
fn function_environment(args: &UpArgs, settings: &Settings) -> BTreeMap<String, String> {
    let mut variables = doors::function_environment(&settings.ports);
    variables.extend(args.function_env.iter().cloned());
    variables
}

fn api_key(stack: &Stack) -> Option<String> {
    let key = stack.resources.values().find(|resource| resource.kind == "AWS::AppSync::ApiKey")?;
    key.attributes.get("ApiKey").cloned()
}

fn physical_ids(stack: &Stack) -> BTreeMap<String, String> {
    let resources = stack.resources.values();
    resources.map(|resource| (resource.logical_id.clone(), resource.physical_id.clone())).collect()
}

/// They may be built while the stack is up: each is started by its first invocation.
fn warn_of_missing_binaries(host: &Host, folder: &Path) {
    let missing = host.functions().filter(|function| !function.binary.is_file());
    let mut missing: Vec<&str> = missing.map(|function| function.logical_id.as_str()).collect();
    missing.sort_unstable();
    if !missing.is_empty() {
        let (folder, missing) = (folder.display(), missing.join(", "));
        tracing::warn!("not built yet in {folder} (`cargo build`, or another --bin-dir): {missing}");
    }
}

/// Invokes the function that brings the database up to date, as a deployment does.
async fn migrate(host: &Host, stack: &Stack) -> Result<(), Problem> {
    let is_migrate = |path: &str| Path::new(path).file_name().is_some_and(|name| name == "migrate");
    let function = stack.resources.values().find(|resource| {
        resource.kind == "AWS::Serverless::Function"
            && resource.properties["CodeUri"].as_str().is_some_and(is_migrate)
    });
    let Some(function) = function else {
        tracing::warn!("the template has no migrate function");
        return Ok(());
    };
    let invoked = host.invoke(&function.physical_id, Bytes::from_static(b"{}")).await;
    let outcome = invoked.map_err(|error| Problem::Migration(error.to_string()))?;
    match outcome.function_error {
        None => Ok(()),
        Some(_) => Err(Problem::Migration(String::from_utf8_lossy(&outcome.payload).into_owned())),
    }
}

/// Cancelled by the first SIGINT or SIGTERM; the second kills everything and ends this process.
fn stop_on_signals(data: PathBuf) -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopping = CancellationToken::new();
    let token = stopping.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first {
                token.cancel();
            }
        }
        process::kill_all(&data);
        StackFile::remove(&data);
        std::process::exit(130);
    });
    Ok(stopping)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: UpArgs,
    }

    #[test]
    fn the_projects_template_is_understood_whole() {
        let data = tempfile::tempdir().unwrap();
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
        let Line { args } = Line::parse_from(["up", "--template", template.to_str().unwrap()]);
        let blueprint = Blueprint::read(&args, data.path().to_owned()).unwrap();
        assert!(blueprint.stack.resources.contains_key("Migrate"));
    }

    #[test]
    fn the_projects_api_is_for_named_origins() {
        let data = tempfile::tempdir().unwrap();
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
        for (origins, is_fine) in [
            ("https://app.example,http://localhost:5173", true),
            ("*", false),
            ("https://*", false),
            ("https://app.example,*", false),
            ("http://app.example", false),
        ] {
            let parameter = format!("AllowedOrigins={origins}");
            let words = ["up", "--template", template.to_str().unwrap(), "--parameter", &parameter];
            let Line { args } = Line::parse_from(words);
            let problem = Blueprint::read(&args, data.path().to_owned()).err().map(|error| error.to_string());
            let is_of_it =
                problem.as_ref().is_some_and(|problem| problem.contains("Parameters.AllowedOrigins"));
            assert_eq!((problem.is_none(), is_of_it), (is_fine, !is_fine), "{origins}: {problem:?}");
        }
    }
}
