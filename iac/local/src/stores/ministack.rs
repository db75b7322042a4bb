//! ministack: DynamoDB, SQS, SNS, EventBridge and Secrets Manager, in memory, empty at every start.

use std::process::Command;

use rustix::process::Signal;

use super::process::{Process, Spec};
use super::{Places, StoreError, StoreInfo, in_folder, on_path};

pub(super) async fn start(
    places: &Places,
    port: u16,
    region: &str,
) -> Result<(StoreInfo, Option<Process>), StoreError> {
    let program = in_folder(&places.tools.join("venv/bin"), "ministack")
        .or_else(|| on_path("ministack"))
        .ok_or_else(|| {
            let place = places.tools.join("venv/bin/ministack");
            StoreError::new("ministack", format!("{} is missing: run `make tools`", place.display()))
        })?;
    let folder = places.data.join("ministack");
    std::fs::create_dir_all(&folder)
        .map_err(|error| StoreError::new("ministack", format!("{}: {error}", folder.display())))?;
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(std::path::absolute(program).unwrap_or_default());
    command
        .current_dir(&folder)
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        // Queue URLs begin with it, and must be the ones that the template resolves to.
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("MINISTACK_REGION", region)
        .env("AWS_DEFAULT_REGION", region)
        .env("AWS_ENDPOINT_URL", &url)
        // Would listen on every address of the machine.
        .env("IOT_MTLS_ENABLED", "0")
        .env("PERSIST_STATE", "0");
    // It keeps nothing, and takes three seconds to end politely.
    let spec = Spec { name: "ministack", command, stop: Signal::KILL };
    let mut process = Process::start(&places.data, spec)?;
    let health = format!("{url}/_ministack/health");
    process
        .ready(async || reqwest::get(&health).await.is_ok_and(|reply| reply.status().is_success()))
        .await?;
    Ok((StoreInfo { kind: "ministack".to_owned(), pid: Some(process.pid()), url }, Some(process)))
}
