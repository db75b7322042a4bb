//! MongoDB: a real one where there is one, a stand-in that speaks its protocol otherwise. Which one runs is
//! said, because their figures differ.

use std::process::Command;

use rustix::process::Signal;
use tokio::net::TcpStream;

use super::process::{Process, Spec};
use super::{Places, StoreError, StoreInfo, in_folder, on_path};
use crate::ports::here;

/// How to connect to the one we start.
pub(super) fn uri(port: u16) -> String {
    format!("mongodb://127.0.0.1:{port}/?directConnection=true")
}

pub(super) async fn start(
    places: &Places,
    port: u16,
    elsewhere: Option<&str>,
) -> Result<(StoreInfo, Option<Process>), StoreError> {
    if let Some(uri) = elsewhere {
        let info = StoreInfo { kind: "MongoDB at MONGODB_URI".to_owned(), pid: None, url: uri.to_owned() };
        return Ok((info, None));
    }
    let port_text = port.to_string();
    let (folder, kind, mut command) = if let Some(program) = on_path("mongod") {
        let mut command = Command::new(program);
        command.args(["--bind_ip", "127.0.0.1", "--port", &port_text, "--dbpath"]);
        ("mongod", "MongoDB (mongod)", command)
    } else if let Some(program) = in_folder(&places.tools.join("tools/bin"), "secantusd-rs") {
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port_text, "--cache-size", "1G", "--storage-path"]);
        ("secantus-rs", "secantusd-rs (stand-in for MongoDB)", command)
    } else if let Some(program) = in_folder(&places.tools.join("venv/bin"), "secantusd-py") {
        let mut command = Command::new(program);
        command.args(["--port", &port_text, "--storage-path"]);
        ("secantus-py", "secantusd-py (stand-in for MongoDB)", command)
    } else {
        return Err(StoreError::new(
            "MongoDB",
            "none to run: set MONGODB_URI, put mongod on the PATH, or run `make tools`, which builds the stand-in",
        ));
    };
    // Each has files of its own form.
    let folder = places.data.join("mongo").join(folder);
    std::fs::create_dir_all(&folder)
        .map_err(|error| StoreError::new("MongoDB", format!("{}: {error}", folder.display())))?;
    command.arg(&folder);
    let spec = Spec { name: "mongo", command, stop: Signal::TERM };
    let mut process = Process::start(&places.data, spec)?;
    process.ready(async || TcpStream::connect(here(port)).await.is_ok()).await?;
    Ok((StoreInfo { kind: kind.to_owned(), pid: Some(process.pid()), url: uri(port) }, Some(process)))
}
