//! OpenChargeMap: the real one, or a program that stands in for it where there is no internet or no key.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tokio::net::TcpStream;

use super::process::{Process, Spec};
use super::{Places, StoreError, StoreInfo};
use crate::ports::here;

/// Where the stand-in's API begins.
pub(super) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/v3")
}

pub(super) async fn start(
    places: &Places,
    port: u16,
    program: Option<&Path>,
) -> Result<Option<(StoreInfo, Process)>, StoreError> {
    let Some(program) = program else { return Ok(None) };
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string()]);
    let spec = Spec { name: "openchargemap", command, stop: Signal::TERM };
    let mut process = Process::start(&places.data, spec)?;
    process.ready(async || TcpStream::connect(here(port)).await.is_ok()).await?;
    let info =
        StoreInfo { kind: "OpenChargeMap stand-in".to_owned(), pid: Some(process.pid()), url: url(port) };
    Ok(Some((info, process)))
}
