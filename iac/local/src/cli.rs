//! The command line, and what its failures look like.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::{Args, Parser, Subcommand};
use reqwest::Url;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::ports::Ports;
use crate::{environment, schema, up};

/// Stands the whole backend up on this machine from template.yaml.
#[derive(Debug, Parser)]
#[command(name = "local", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start every store, door and event source, and stop them all on Ctrl-C.
    ///
    /// Ports: AppSync 4000 (TLS 4443), HTTP API 4001, WebSocket API 4002, Lambda Invoke API 4003, RDS Data API
    /// 4004, stand-ins for OpenChargeMap 4005 and Stripe 4006, ministack 4566, PostgreSQL 25432, Redis 26379, MongoDB 27099; --port-base moves them all.
    /// All addresses are printed, and written to <data>/stack.json once everything answers.
    Up(Box<UpArgs>),
    /// Start everything, run a program against it, stop everything; ends with the program's status.
    ///
    /// The program finds the stack by EV_STACK, the path of stack.json.
    Run(Box<RunArgs>),
    /// Print the environment of the running stack's functions, as a file for `cargo lambda watch --env-file`.
    Env(EnvArgs),
    /// Join the GraphQL files into the one schema that the template deploys.
    Schema(SchemaArgs),
}

/// `local up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// The template to stand up.
    #[arg(long, env = "LOCAL_TEMPLATE", default_value = "template.yaml")]
    pub(crate) template: PathBuf,
    /// The folder of the functions' binaries (target/local after a build with `--profile local`).
    #[arg(long, env = "LOCAL_BIN_DIR", default_value = "target/debug")]
    pub(crate) bin_dir: PathBuf,
    /// Where databases, keys and logs are kept.
    #[arg(long, env = "LOCAL_DATA", default_value = ".local/data")]
    pub(crate) data: PathBuf,
    /// Where `venv/bin/ministack`, `venv/bin/localstripe` and the MongoDB stand-in `tools/bin/secantusd-rs` are.
    #[arg(long, env = "LOCAL_TOOLS", default_value = ".local")]
    pub(crate) tools: PathBuf,
    /// Send invocations to this Invoke endpoint (`cargo lambda watch`, `sam local start-lambda`); functions that it
    /// does not run are run from their binaries.
    #[arg(long, env = "LOCAL_INVOKE_ENDPOINT", value_name = "URL")]
    pub(crate) invoke_endpoint: Option<Url>,
    /// Send only these functions there, by their binaries' names or their logical ids.
    #[arg(
        long,
        env = "LOCAL_INVOKE_ONLY",
        value_name = "NAME,…",
        value_delimiter = ',',
        requires = "invoke_endpoint"
    )]
    pub(crate) invoke_only: Vec<String>,
    /// Use twelve consecutive ports from this one on instead of the fixed ones.
    #[arg(long, env = "LOCAL_PORT_BASE", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..=65_500))]
    pub(crate) port_base: Option<u16>,
    /// The stack's name, the prefix of every name in it.
    #[arg(long, env = "LOCAL_STACK_NAME", default_value = "ev")]
    pub(crate) stack_name: String,
    /// The AWS region to pretend to be.
    #[arg(long, env = "LOCAL_REGION", default_value = "eu-central-1")]
    pub(crate) region: String,
    /// Where OpenChargeMap's `/poi` is; a local server of recorded data in tests and in the demo.
    #[arg(long, env = "OCM_BASE_URL", default_value = "https://api.openchargemap.io/v3")]
    pub(crate) ocm_url: Url,
    /// Run this program on a port of the stack and take it for OpenChargeMap (`target/local/ocm-server`).
    #[arg(long, env = "LOCAL_OCM_SERVER", value_name = "PROGRAM", conflicts_with = "ocm_url")]
    pub(crate) ocm_server: Option<PathBuf>,
    /// The key for it, a GUID; the stand-in takes any.
    #[arg(
        long,
        env = "OCM_API_KEY",
        default_value = "00000000-0000-4000-8000-000000000000",
        hide_env_values = true
    )]
    pub(crate) ocm_key: String,
    /// The program that starts localstripe, which is Stripe here if it is installed; `tests/tools/localstripe` beside
    /// the template.
    #[arg(long, env = "LOCAL_STRIPE_SERVER", value_name = "PROGRAM")]
    pub(crate) stripe_server: Option<PathBuf>,
    /// Template parameters, over the ones that stand for the foundation.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// A variable of every function, over the template's and this machine's own; may be given several times.
    #[arg(long = "function-env", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) function_env: Vec<(String, String)>,
    /// Let PostgreSQL lose data when the machine stops (faster; for tests).
    #[arg(long, env = "LOCAL_NO_FSYNC")]
    pub(crate) no_fsync: bool,
    /// Print warnings and the table of addresses only, no functions' logs.
    #[arg(long, short, env = "LOCAL_QUIET")]
    pub(crate) quiet: bool,
}

impl UpArgs {
    pub(crate) fn ports(&self) -> Ports {
        self.port_base.map_or_else(Ports::fixed, Ports::from_base)
    }
}

/// `local run`.
#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    up: UpArgs,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

/// `local env`.
#[derive(Debug, Args)]
struct EnvArgs {
    /// One function only, by its binary's name or its logical id.
    function: Option<String>,
    /// Print a template of all functions instead, their variables in it, for `sam local start-lambda --template`.
    #[arg(long, conflicts_with = "function")]
    sam: bool,
    /// A variable of every function, over those of the running stack; may be given several times.
    #[arg(long = "function-env", value_name = "NAME=VALUE", value_parser = parameter)]
    function_env: Vec<(String, String)>,
    /// The folder of the running stack.
    #[arg(long, env = "LOCAL_DATA", default_value = ".local/data")]
    data: PathBuf,
}

/// `local schema`.
#[derive(Debug, Args)]
struct SchemaArgs {
    /// The folder of `*.graphql` files.
    #[arg(long, default_value = "graphql")]
    from: PathBuf,
    /// The joined file.
    #[arg(long, default_value = "target/schema.graphql")]
    to: PathBuf,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the command and tells what went wrong, on standard error, in words for the person at the terminal.
pub async fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Up(args) => {
            start_logging(&args);
            up::up(*args, None).await
        }
        Command::Run(args) => {
            start_logging(&args.up);
            up::up(args.up, Some(args.program)).await
        }
        Command::Env(args) => print_environment(&args),
        Command::Schema(args) => {
            schema::join(&args.from, &args.to).map(|()| ExitCode::SUCCESS).map_err(up::Problem::from)
        }
    };
    match result {
        Ok(status) => status,
        Err(problem) => {
            eprintln!("local: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn print_environment(args: &EnvArgs) -> Result<ExitCode, up::Problem> {
    let mut functions = environment::of_running_stack(&args.data)?;
    environment::set(&mut functions, &args.function_env);
    if args.sam {
        println!("{:#}", environment::sam_template(&functions, &std::env::current_dir()?));
    } else {
        print!("{}", environment::lines(&functions, args.function.as_deref())?);
    }
    Ok(ExitCode::SUCCESS)
}

/// To the terminal what was asked for; to `<data>/logs/stack.log` everything of this run, functions' logs included.
fn start_logging(args: &UpArgs) {
    let level = if args.quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let terminal = fmt::layer().with_writer(std::io::stderr).with_target(false).compact().with_filter(filter);
    let logs = args.data.join("logs");
    let file = std::fs::create_dir_all(&logs).and_then(|()| File::create(logs.join("stack.log")));
    let file = file.ok().map(|file| {
        let layer = fmt::layer().with_writer(Mutex::new(file)).with_ansi(false).with_target(false).compact();
        layer.with_filter(EnvFilter::new("info"))
    });
    tracing_subscriber::registry().with(terminal).with(file).init();
}
