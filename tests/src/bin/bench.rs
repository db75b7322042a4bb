//! `make bench`: the figures the project promises, measured on the running stack and printed beside their goals.
//! Runs under `local run` with the binaries of `--profile local`.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use tests::Result;
use tests::accounts::Account;
use tests::bench::figure::{self, Figure, Tell};
use tests::bench::hold_script::{self, Beside};
use tests::bench::load::{self, Post};
use tests::bench::sample::Sample;
use tests::bench::service::Costs;
use tests::bench::{
    billed, billing, live, login, push, rest, service, spawn, uncached, usual, vendor_webhook, webhook,
};
use tests::capacity::{self, Measured};
use tests::journey::{self, Site};
use tests::stack::Stack;

/// Measures the running stack.
#[derive(Parser)]
struct Options {
    /// Where the functions' binaries are.
    #[arg(long, default_value = "target/local")]
    bin_dir: PathBuf,
    /// How long each load lasts, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections that bill, and that pgbench has.
    #[arg(long, default_value_t = 24)]
    clients: usize,
    /// Measures no other section; may be repeated.
    #[arg(long)]
    only: Vec<Section>,
    /// Has `docs/CAPACITY.md` say what this run measured; takes a run of all sections that it needs.
    #[arg(long)]
    write_capacity: bool,
}

/// What is measured together.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    FrontDoor,
    Nearby,
    Functions,
    Billing,
    Login,
    Webhook,
    Bus,
    Rest,
    HoldScript,
    VendorWebhook,
    Live,
    Usual,
}

impl Options {
    fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }
}

// On one thread: what measures shall not take both cores from what is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let stack = Stack::running()?;
    let time = Duration::from_secs(options.seconds);
    println!("machine: {} cores, {}; mirror: {}", cores(), cpu(), stack.mongo_kind);
    let mut figures = Vec::new();
    let tell: Tell<'_> = &mut |figure: Figure| {
        println!("{}", figure.line());
        figures.push(figure);
    };

    tell(Figure::below("stack up, already built", stack.started_in.as_secs_f64(), "s", 15.0));
    let quiet: journey::Tell<'_> = &mut |_| ();
    journey::mirror(&stack, quiet).await?;
    let operator = Account::operator(&stack).await?;
    let driver = Account::driver(&stack, "Bench").await?;
    let site = journey::site(&stack, &operator, quiet).await?;

    // While nothing else is asked of the database.
    if options.wants(Section::Billing) {
        billing(&stack, &site, &options, tell).await?;
    }
    if options.wants(Section::FrontDoor) {
        front_door(&stack, &site, time, tell).await?;
    }
    if options.wants(Section::Nearby) {
        nearby(&stack, time, tell).await?;
    }
    // Before what leaves the bus with work to do.
    if options.wants(Section::Functions) {
        functions(&stack, &options, tell).await?;
    }
    if options.wants(Section::Login) {
        logins(&stack, &operator, tell).await?;
    }
    if options.wants(Section::Webhook) {
        webhooks(&stack, time, tell).await?;
    }
    if options.wants(Section::Bus) {
        bus(&stack, &driver, &site, tell).await?;
    }
    let mut costs = Costs::new();
    if options.wants(Section::HoldScript) {
        hold_scripts(&stack, tell).await?;
    }
    if options.wants(Section::Live) {
        lives(&stack, &driver, &site, &mut costs, tell).await?;
    }
    if options.wants(Section::Usual) {
        usual::measure(&stack, &driver, &site, time, &mut costs, tell).await?;
    }
    if options.wants(Section::Rest) {
        rest::measure(&stack, time, &mut costs, tell).await?;
    }
    if options.wants(Section::VendorWebhook) {
        let served = vendor_webhook::measure(&stack, &operator, &site.station, time).await?;
        served.tell("POST /v1/vendor/webhooks/connector-status", 200.0, tell);
        costs.insert("vendor-webhook".into(), served.cost);
    }
    let (function, resident_mb) = largest_process(&stack).await?;
    let name = format!("most that a process ever held in this run ({function})");
    tell(Figure::reported(name, resident_mb, "MB"));
    figure::write(&figures, &Stack::root().join("target/bench.json"))?;
    let machine = format!("{} cores, {}; {}", cores(), cpu(), options.bin_dir.display());
    write_costs(&Measured { machine, operations: costs }, options.write_capacity)
}

/// Keeps what operations cost, and has the document say it if that is asked for.
fn write_costs(measured: &Measured, in_document: bool) -> Result<()> {
    let text = serde_json::to_string_pretty(measured)? + "\n";
    std::fs::write(Stack::root().join("target/capacity.json"), &text)?;
    if in_document {
        let document = Stack::root().join("docs/CAPACITY.md");
        let rewritten = capacity::rewritten(&std::fs::read_to_string(&document)?, measured)?;
        std::fs::write(Stack::root().join("docs/capacity/measured.json"), text)?;
        std::fs::write(document, rewritten)?;
    }
    Ok(())
}

async fn front_door(stack: &Stack, site: &Site, time: Duration, tell: Tell<'_>) -> Result<()> {
    let station = public(
        stack,
        "query($id: ID!) { getStation(id: $id) { id name status connectors { id type powerKW status } } }",
        &json!({ "id": site.station }),
    );
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
    let delays = load::flood(&warm, 1, Duration::from_secs(3)).await?.delays;
    tell(Figure::below("warm invocation, one client, p50", delays.percentile_ms(50.0), "ms", 1.0));
    tell(Figure::below("  p99", delays.percentile_ms(99.0), "ms", 1.0));
    Ok(())
}

async fn nearby(stack: &Stack, time: Duration, tell: Tell<'_>) -> Result<()> {
    // The recorded data is densest in Austin.
    let search = near(30.27, -97.74, "radiusKm: 10, first: 50");
    let near = public(stack, &search, &json!({}));
    load::flood(&near, 2, Duration::from_secs(1)).await?;
    let paced = load::pace(&near, 8, 200.0, time).await?;
    let name = "nearbyStations from the cache, p99 at 200 req/s";
    tell(Figure::below(name, paced.delays.percentile_ms(99.0), "ms", 25.0));
    tell(Figure::at_most("  failed answers", paced.failed as f64, "", 0.0));
    let uncached = uncached::measure(stack, 100).await?;
    let name = "nearbyStations uncached, the function's own time, p99";
    tell(Figure::below(name, uncached.own.percentile_ms(99.0), "ms", 5.0));
    let name = format!("  the stores' time, p99 ({})", stack.mongo_kind);
    tell(Figure::reported(name, uncached.stores.percentile_ms(99.0), "ms"));
    tell(Figure::reported("  keys the mirror examined, mean", uncached.keys_examined, ""));
    tell(Figure::reported("  documents it examined, mean", uncached.documents_examined, ""));
    Ok(())
}

async fn billing(stack: &Stack, site: &Site, options: &Options, tell: Tell<'_>) -> Result<()> {
    let Options { clients, seconds, .. } = *options;
    // Twice as long as other loads: a ratio of two rates that move.
    let rates = billing::compare(stack, site, clients, usize::try_from(seconds)?).await?;
    let name = format!("pgbench TPC-B-like, prepared, {clients} clients, scale {clients}");
    tell(Figure::reported(name, rates.pgbench, "tx/s"));
    tell(Figure::reported("  the same five statements, one Data API call each", rates.tpc_b, "tx/s"));
    tell(Figure::reported("sessions billed, one Data API call each", rates.billed, "/s"));
    tell(Figure::reported("  of TPC-B by Data API call", rates.billed / rates.tpc_b * 100.0, "%"));
    tell(Figure::at_least("  of pgbench's own rate", rates.billed / rates.pgbench * 100.0, "%", 50.0));
    tell(Figure::at_most("  not billed exactly once", rates.wrong as f64, "", 0.0));
    Ok(())
}

async fn logins(stack: &Stack, operator: &Account, tell: Tell<'_>) -> Result<()> {
    let logins = login::measure(stack, operator, 200).await?;
    tell(Figure::reported("login (argon2id, m=19 MiB t=2 p=1), p50", logins.percentile_ms(50.0), "ms"));
    tell(Figure::reported("  p99", logins.percentile_ms(99.0), "ms"));
    Ok(())
}

async fn webhooks(stack: &Stack, time: Duration, tell: Tell<'_>) -> Result<()> {
    let webhooks = webhook::measure(stack, 50.0, time).await?;
    let name = "payment webhook, verified and queued, p99 at 50 req/s";
    tell(Figure::below(name, webhooks.delays.percentile_ms(99.0), "ms", 20.0));
    tell(Figure::at_most("  failed answers", webhooks.failed as f64, "", 0.0));
    Ok(())
}

async fn bus(stack: &Stack, driver: &Account, site: &Site, tell: Tell<'_>) -> Result<()> {
    let delays = push::measure(stack, driver, site, 100).await?;
    tell(Figure::reported("state change to subscriber, p50", delays.percentile_ms(50.0), "ms"));
    tell(Figure::below("  p99", delays.percentile_ms(99.0), "ms", 500.0));
    let delays = billed::measure(stack, driver, site, 100).await?;
    tell(Figure::reported("session ended to billed, over the bus, p50", delays.percentile_ms(50.0), "ms"));
    tell(Figure::reported("  p99", delays.percentile_ms(99.0), "ms"));
    Ok(())
}

async fn lives(
    stack: &Stack,
    driver: &Account,
    site: &Site,
    costs: &mut Costs,
    tell: Tell<'_>,
) -> Result<()> {
    let pushed = live::measure(stack, driver, site, 200).await?;
    tell(Figure::reported(
        "status reported to frame of the live feed, p50",
        pushed.feed.percentile_ms(50.0),
        "ms",
    ));
    tell(Figure::below("  p99", pushed.feed.percentile_ms(99.0), "ms", 500.0));
    tell(Figure::reported("  to onStationUpdated, p50", pushed.subscription.percentile_ms(50.0), "ms"));
    tell(Figure::below("  p99", pushed.subscription.percentile_ms(99.0), "ms", 500.0));
    service::tell_cost(&pushed.cost, tell);
    costs.insert("ocpp-status".into(), pushed.cost);
    Ok(())
}

async fn hold_scripts(stack: &Stack, tell: Tell<'_>) -> Result<()> {
    // As functions send it: one call, its answer, the next call.
    let free = hold_script::measure(stack, Beside::Nothing, 1).await?;
    tell(Figure::reported("holds taken by the script, 50 connections, one call at a time", free.holds, "/s"));
    tell(Figure::reported("  plain SET, the same way", free.sets, "/s"));
    tell(Figure::at_least("  holds of the SETs", free.holds / free.sets * 100.0, "%", 50.0));
    tell(Figure::reported("  Redis's own time for a hold (two reads, two writes)", free.hold_us, "µs"));
    tell(Figure::reported("  for a SET", free.set_us, "µs"));
    let beside = hold_script::measure(stack, Beside::AnotherHold, 1).await?;
    let share = beside.holds / beside.sets * 100.0;
    tell(Figure::reported("  where connector and driver have a hold already", share, "%"));
    // Nobody does that; it shows what is left when the network is not.
    let piped = hold_script::measure(stack, Beside::Nothing, 20).await?;
    tell(Figure::reported("  20 in a pipeline", piped.holds / piped.sets * 100.0, "%"));
    Ok(())
}

async fn functions(stack: &Stack, options: &Options, tell: Tell<'_>) -> Result<()> {
    let (mut all, mut largest) = (Sample::default(), (0.0, String::new()));
    for function in &stack.functions {
        let binary = options.bin_dir.join(&function.binary);
        let ready = spawn::measure(&binary, &function.variables, 20).await?;
        if ready.resident_mb > largest.0 {
            largest = (ready.resident_mb, function.binary.clone());
        }
        let p50 = ready.delays.percentile_ms(50.0);
        tell(Figure::reported(format!("  {}: spawn to ready, p50", function.binary), p50, "ms"));
        let size = std::fs::metadata(&binary)?.len() as f64 / 1_048_576.0;
        tell(Figure::reported(format!("  {}: binary", function.binary), size, "MB"));
        all.merge(ready.delays);
    }
    tell(Figure::at_most("spawn to ready of every function, p99", all.percentile_ms(99.0), "ms", 25.0));
    tell(Figure::at_most(format!("  largest resident when ready ({})", largest.1), largest.0, "MB", 25.0));
    Ok(())
}

/// An operation with the API key alone.
fn public(stack: &Stack, query: &str, variables: &Value) -> Post {
    Post {
        url: stack.graphql_url.clone(),
        headers: vec![("x-api-key".into(), stack.api_key.clone())],
        body: Bytes::from(json!({ "query": query, "variables": variables }).to_string()),
    }
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

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown processor".into(), |(_, name)| name.to_owned())
}
