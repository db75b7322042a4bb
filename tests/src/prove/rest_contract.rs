//! The REST API by its own document: PyPI's `schemathesis` reads `/v1/openapi.json` from a running stack and asks for
//! everything in it, as it may be asked for and as it may not. No answer is an error of ours, or one that the document
//! does not have.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use super::cast::{Cast, Site};
use super::place::{Needs, OwnStack, Place};
use super::{Proof, Size};
use crate::Result;
use crate::journey;
use crate::stack::Stack;

/// What of a run's output is told when it fails.
const LAST_LINES: usize = 400;
/// Its only refusals are the gateway's, of too many requests.
const NEVER_REFUSED: &str = "getContract";

/// One client asks here for more than all of them may in a second, which would only show the gateway's limits.
const NO_LIMITS: Needs = Needs {
    faults: false,
    parameters: &[
        "RestRequestsPerSecond=10000",
        "BookingRequestsPerSecond=10000",
        "WebhookRequestsPerSecond=10000",
        "DocumentRequestsPerSecond=10000",
    ],
    redis: None,
};

/// By status, how many answers an operation gave.
type Tally = BTreeMap<String, BTreeMap<u16, u64>>;

/// The document is one, and the stack keeps to it.
pub(super) async fn run(size: Size, place: &Place, seed: u64) -> Result<Proof> {
    place.prove("rest-contract", NO_LIMITS, async |own| prove(size, own, seed).await).await
}

async fn prove(size: Size, own: &OwnStack, seed: u64) -> Result<Proof> {
    let stack = &own.stack;
    let operations = read_document(stack).await?;
    let stage = set_stage(stack).await?;
    let tally = try_all(stack, &stage, size, seed).await?;
    let told = tally.values().flatten();
    let sum = |from: u16, to: u16| -> u64 {
        told.clone().filter(|(status, _)| (from..to).contains(*status)).map(|(_, count)| count).sum()
    };
    let figure = format!(
        "{} operations, {} calls: {} answered, {} refused as documented, {} with 5xx, 0 undocumented",
        operations.len(),
        sum(100, 600),
        sum(200, 300),
        sum(400, 500),
        sum(500, 600),
    );
    println!("{}", table(&tally));
    if sum(500, 600) > 0 {
        return Err(figure.into());
    }
    for operation in operations {
        let counts = tally.get(&operation).ok_or_else(|| format!("{operation} was not asked for"))?;
        let has = |hundreds: u16| counts.keys().any(|status| status / 100 == hundreds);
        if !has(2) || !(has(4) || operation == NEVER_REFUSED) {
            return Err(format!("{operation} only ever answered {counts:?}").into());
        }
    }
    Ok(Proof { name: "rest-contract", figure })
}

/// The ids of the operations of the document that the stack serves, which PyPI's `openapi-spec-validator` finds to be
/// one.
async fn read_document(stack: &Stack) -> Result<Vec<String>> {
    let text = reqwest::get(format!("{}/v1/openapi.json", stack.http_url)).await?.text().await?;
    let path = document_of(stack);
    std::fs::write(&path, &text)?;
    let validated = python(stack).args(["-m", "openapi_spec_validator"]).arg(&path).output().await?;
    succeeded("openapi-spec-validator", &validated)?;
    let document: Value = serde_json::from_str(&text)?;
    let methods = document["paths"].as_object().ok_or("no paths")?.values().filter_map(Value::as_object);
    let ids = methods.flat_map(|methods| methods.values()).filter_map(|one| one["operationId"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

fn document_of(stack: &Stack) -> PathBuf {
    stack.data.join("openapi.json")
}

/// What requests may be about: mirrored stations, two of ours, of which one takes a fee, a driver with money, and a
/// vendor with a connector.
async fn set_stage(stack: &Stack) -> Result<Value> {
    journey::mirror(stack, &mut |_| {}).await?;
    let cast = Cast::new(stack).await?;
    let driver = cast.driver("Rita Rest").await?;
    cast.operator.credit(&driver, "500.00").await?;
    let (free, paid, vendors) = (cast.site(10).await?, cast.site(10).await?, cast.site(1).await?);
    let tariff = json!({
        "stationId": paid.station, "currency": "EUR", "perKWh": "0.50", "bookingFee": "2.50", "vatRate": "0.19",
        "reason": "for the proof",
    });
    cast.by_operator("mutation($input: CreateTariffInput!) { createTariff(input: $input) { id } }", tariff)
        .await?;
    let mirrored =
        cast.database.texts("SELECT id::text FROM stations WHERE ocm_id IS NOT NULL LIMIT 20").await?;
    let ours = [free.station.to_string(), paid.station.to_string()];
    Ok(json!({
        "url": stack.http_url, "redis": stack.redis_url, "token": driver.token,
        "near": { "latitude": 52.52, "longitude": 13.405 },
        "stations": ours.into_iter().chain(mirrored).collect::<Vec<_>>(),
        "connectors": connectors(&free).chain(connectors(&paid)).collect::<Vec<_>>(),
        "vendor": vendor(&cast, vendors.station).await?,
    }))
}

fn connectors(site: &Site) -> impl Iterator<Item = Value> {
    site.connectors.iter().map(|id| json!({ "station": site.station, "id": id }))
}

async fn vendor(cast: &Cast<'_>, station: Uuid) -> Result<Value> {
    let register =
        "mutation($input: RegisterVendorInput!) { registerVendor(input: $input) { secret vendor { id } } }";
    let made = cast.by_operator(register, json!({ "name": "Volt" })).await?;
    let name = "volt-1";
    let input = json!({
        "vendorId": made["vendor"]["id"], "stationId": station,
        "connectors": [{ "vendorConnectorId": name, "number": 7, "type": "CCS (Type 2)", "powerKW": 50.0 }],
    });
    let register =
        "mutation($input: RegisterVendorConnectorsInput!) { registerVendorConnectors(input: $input) { id } }";
    cast.by_operator(register, input).await?;
    let query = format!("SELECT id::text FROM connectors WHERE vendor_connector_id = '{name}'");
    let connector = cast.database.texts(&query).await?;
    Ok(json!({
        "id": made["vendor"]["id"], "secret": made["secret"],
        "connector": { "id": connector.concat(), "station": station, "vendorConnectorId": name },
    }))
}

/// Runs schemathesis; fails with what it found.
async fn try_all(stack: &Stack, stage: &Value, size: Size, seed: u64) -> Result<Tally> {
    let (stage_file, tally_file) = (stack.data.join("stage.json"), stack.data.join("tally.json"));
    std::fs::write(&stage_file, stage.to_string())?;
    let folder = Stack::root().canonicalize()?.join("tests/contract");
    let output = python(stack)
        .args(["-m", "schemathesis.cli"])
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(document_of(stack))
        .args(["--url", &stack.http_url, "--no-color", "--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-examples", size.of("6", "300"), "--seed", &seed.to_string()])
        .args(size.of(&["--no-shrink"][..], &[][..]))
        .env("PYTHONPATH", &folder)
        .env("CONTRACT_STAGE", &stage_file)
        .env("CONTRACT_TALLY", &tally_file)
        .env("CONTRACT_TOKEN", stage["token"].as_str().unwrap_or_default())
        .output()
        .await?;
    std::fs::write(stack.data.join("schemathesis.log"), &output.stdout)?;
    succeeded("schemathesis", &output)?;
    Ok(serde_json::from_str(&std::fs::read_to_string(tally_file)?)?)
}

/// The interpreter with the tools, which leaves its traces in the stack's folder alone.
fn python(stack: &Stack) -> Command {
    let mut python = Command::new(Stack::root().join(".local/venv/bin/python"));
    python
        .current_dir(&stack.data)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    python
}

fn succeeded(tool: &str, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = said.lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    Err(format!("{tool} ({}):\n{}", output.status, last.join("\n")).into())
}

/// For people: who answered what, how often.
fn table(tally: &Tally) -> String {
    let line = |(operation, counts): (&String, &BTreeMap<u16, u64>)| {
        let counts: Vec<_> = counts.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        format!("  {operation}  {}", counts.join(", "))
    };
    tally.iter().map(line).collect::<Vec<_>>().join("\n")
}
