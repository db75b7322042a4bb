//! Redis, empty at every start: nothing in it may be the only copy.

use std::process::Command;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::process::{Process, Spec};
use super::{Places, StoreError, StoreInfo, on_path};
use crate::ports::here;

/// How to connect.
pub(super) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

pub(super) async fn start(places: &Places, port: u16) -> Result<(StoreInfo, Option<Process>), StoreError> {
    let program = on_path("redis-server").ok_or_else(|| {
        StoreError::new("Redis", "redis-server is not installed: `sudo apt-get install redis-server`")
    })?;
    let folder = places.data.join("redis");
    std::fs::create_dir_all(&folder)
        .map_err(|error| StoreError::new("Redis", format!("{}: {error}", folder.display())))?;
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"]);
    command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(&folder);
    let spec = Spec { name: "redis", command, stop: Signal::TERM };
    let mut process = Process::start(&places.data, spec)?;
    process.ready(async || answers(port).await.unwrap_or(false)).await?;
    let info = StoreInfo { kind: "Redis".to_owned(), pid: Some(process.pid()), url: url(port) };
    Ok((info, Some(process)))
}

async fn answers(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(here(port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).await?;
    Ok(&reply == b"+PONG")
}
