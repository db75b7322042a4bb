//! `make bench`: the figures the project promises, measured on the running stack and printed beside their goals.
//! Runs under `local run` with the binaries of `--profile local`.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use serde_json::{Value, json};
use tests::accounts::Account;
use tests::bench::figure::{self, Figure};
use tests::bench::load::{self, Post};
use tests::bench::sample::Sample;
use tests::bench::{push, spawn, uncached};
use tests::stack::Stack;
use tests::{Result, journey};

/// Measures the running stack.
#[derive(Parser)]
struct Options {
    /// Where the functions' binaries are.
    #[arg(long, default_value = "target/local")]
    bin_dir: PathBuf,
    /// How long each load lasts, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let stack = Stack::running()?;
    let time = Duration::from_secs(options.seconds);
    let quiet: journey::Tell<'_> = &mut |_| ();
    println!("machine: {} cores, {}; mirror: {}", cores(), cpu(), stack.mongo_kind);
    let mut figures = Vec::new();
    let mut tell = |figure: Figure| {
        println!("{}", figure.line());
        figures.push(figure);
    };

    tell(Figure::below("stack up, already built", stack.started_in.as_secs_f64(), "s", 15.0));
    journey::mirror(&stack, quiet).await?;
    let operator = Account::operator(&stack).await?;
    let driver = Account::driver(&stack, "Bench").await?;
    let site = journey::site(&stack, &operator, quiet).await?;

    let station = Post {
        url: stack.graphql_url.clone(),
        headers: vec![("x-api-key".into(), stack.api_key.clone())],
        body: body(
            "query($id: ID!) { getStation(id: $id) { id name status connectors { id type powerKW status } } }",
            &json!({ "id": site.station }),
        ),
    };
    load::flood(&station, 16, Duration::from_secs(2)).await?;
    let flood = load::flood(&station, 16, time).await?;
    tell(Figure::at_least("getStation through the front door", flood.rate, "req/s", 1500.0));
    let half = load::pace(&station, 16, flood.rate / 2.0, time).await?;
    tell(Figure::below("  p99 at half that load", half.delays.percentile_ms(99.0), "ms", 30.0));
    tell(Figure::at_most("  failed answers", (flood.failed + half.failed) as f64, "", 0.0));

    let warm = Post {
        url: stack.invoke_url("authorize-graphql")?,
        headers: Vec::new(),
        body: Bytes::from(json!({ "authorizationToken": "", "requestContext": {} }).to_string()),
    };
    load::flood(&warm, 1, Duration::from_secs(1)).await?;
    let invocations = load::flood(&warm, 1, Duration::from_secs(3)).await?;
    tell(Figure::below(
        "warm invocation, one client, p50",
        invocations.delays.percentile_ms(50.0),
        "ms",
        1.0,
    ));
    tell(Figure::below("  p99", invocations.delays.percentile_ms(99.0), "ms", 1.0));

    // The recorded data is densest in Austin.
    let search = near(30.27, -97.74, "radiusKm: 10, first: 50");
    let near = Post { body: body(&search, &json!({})), ..station.clone() };
    load::flood(&near, 2, Duration::from_secs(1)).await?;
    let paced = load::pace(&near, 8, 200.0, time).await?;
    tell(Figure::below(
        "nearbyStations from the cache, p99 at 200 req/s",
        paced.delays.percentile_ms(99.0),
        "ms",
        25.0,
    ));
    tell(Figure::at_most("  failed answers", paced.failed as f64, "", 0.0));
    let uncached = uncached::measure(&stack, 100).await?;
    tell(Figure::below(
        "nearbyStations uncached, the function's own time, p99",
        uncached.own.percentile_ms(99.0),
        "ms",
        5.0,
    ));
    tell(Figure::reported(
        format!("  the stores' time, p99 ({})", stack.mongo_kind),
        uncached.stores.percentile_ms(99.0),
        "ms",
    ));
    tell(Figure::reported("  keys the mirror examined, mean", uncached.keys_examined, ""));
    tell(Figure::reported("  documents it examined, mean", uncached.documents_examined, ""));

    let delays = push::measure(&stack, &driver, &site, 100).await?;
    tell(Figure::reported("state change to subscriber, p50", delays.percentile_ms(50.0), "ms"));
    tell(Figure::below("  p99", delays.percentile_ms(99.0), "ms", 500.0));

    let environment = spawn_environment(&stack);
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (mut all, mut largest) = (Sample::default(), (0.0, String::new()));
    for function in functions()? {
        let ready = spawn::measure(&options.bin_dir.join(&function), &environment, 20).await?;
        if ready.resident_mb > largest.0 {
            largest = (ready.resident_mb, function.clone());
        }
        tell(Figure::reported(
            format!("  {function}: spawn to ready, p50"),
            ready.delays.percentile_ms(50.0),
            "ms",
        ));
        all.merge(ready.delays);
    }
    tell(Figure::at_most("spawn to ready of every function, p99", all.percentile_ms(99.0), "ms", 25.0));
    tell(Figure::at_most(format!("  largest resident when ready ({})", largest.1), largest.0, "MB", 25.0));
    let (function, resident_mb) = largest_process(&stack).await?;
    tell(Figure::reported(
        format!("  most that a process ever held in this run ({function})"),
        resident_mb,
        "MB",
    ));
    figure::write(&figures, &Stack::root().join("target/bench.json"))
}

fn body(query: &str, variables: &Value) -> Bytes {
    Bytes::from(json!({ "query": query, "variables": variables }).to_string())
}

fn near(latitude: f64, longitude: f64, more: &str) -> String {
    format!(
        "{{ nearbyStations(latitude: {latitude}, longitude: {longitude}, {more}) {{
            edges {{ distanceKm node {{ id name status connectors {{ type powerKW }} }} }} }} }}"
    )
}

/// The largest of the stack's own processes, by what it ever held.
async fn largest_process(stack: &Stack) -> Result<(String, f64)> {
    let processes: Vec<Value> =
        reqwest::get(format!("{}/_local/processes", stack.lambda_url)).await?.json().await?;
    let sizes = processes.iter().map(|process| {
        let name = process["function"].as_str().unwrap_or_default().to_owned();
        (name, process["peakRssBytes"].as_f64().unwrap_or(f64::NAN) / 1_048_576.0)
    });
    sizes.max_by(|a, b| a.1.total_cmp(&b.1)).ok_or_else(|| "no function runs".into())
}

fn functions() -> Result<Vec<String>> {
    let mut functions = Vec::new();
    for context in std::fs::read_dir(Stack::root().join("functions"))? {
        let Ok(binaries) = std::fs::read_dir(context?.path().join("src/bin")) else { continue };
        for binary in binaries {
            let path = binary?.path();
            functions.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    functions.sort();
    Ok(functions)
}

/// Any values do: a function reads its settings when it starts and uses none before its first event.
fn spawn_environment(stack: &Stack) -> Vec<(String, String)> {
    let names = [
        "CLUSTER_ARN",
        "DATABASE_SECRET_ARN",
        "DATABASE_NAME",
        "EVENT_BUS_NAME",
        "MONGO_SECRET_ARN",
        "OCM_SECRET_ARN",
        "JWT_SIGNING_SECRET_ARN",
        "JWT_VERIFYING_SECRET_ARN",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "CONNECTIONS_TABLE",
        "CALLS_TABLE",
    ];
    let mut environment: Vec<_> =
        names.into_iter().map(|name| (name.to_owned(), "bench".to_owned())).collect();
    for (name, value) in [
        ("REDIS_URL", stack.redis_url.as_str()),
        ("OCPP_MANAGEMENT_URL", stack.aws_url.as_str()),
        ("AWS_ENDPOINT_URL", stack.aws_url.as_str()),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
    ] {
        environment.push((name.to_owned(), value.to_owned()));
    }
    environment
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown processor".into(), |(_, name)| name.to_owned())
}
