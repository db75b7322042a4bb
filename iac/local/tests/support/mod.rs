//! A stack on ports of a test's own, started as a person at a terminal starts it.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) struct Up {
    pub(crate) child: Child,
    pub(crate) data: PathBuf,
}

pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn command(data: &Path, base: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command
        .current_dir(here().join("tests/fixture"))
        .args(["up", "--no-fsync", "--quiet", "--data"])
        .arg(data)
        .args(["--port-base", &base.to_string()])
        .env("LOCAL_TOOLS", here().join("../../.local"))
        .env_remove("MONGODB_URI")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The first of sixteen ports that are free now, below those that outgoing connections take. A slot for each test.
pub(crate) fn free_base(slot: u16) -> u16 {
    let start = 10_000 + slot * 4_000 + u16::try_from(std::process::id() % 250).unwrap() * 16;
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (start..).step_by(16).find(|base| (*base..base + 16).all(is_free)).unwrap()
}

pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Up {
    pub(crate) fn start(data: &Path, base: u16) -> Self {
        Self::with(data, command(data, base))
    }

    pub(crate) fn with(data: &Path, mut command: Command) -> Self {
        Self { child: command.spawn().unwrap(), data: data.to_owned() }
    }

    pub(crate) fn file(&mut self) -> Value {
        let path = self.data.join("stack.json");
        let child = &mut self.child;
        wait_for("stack.json", || {
            if let Some(status) = child.try_wait().unwrap() {
                let mut words = String::new();
                std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut words).unwrap();
                panic!("ended with {status}: {words}");
            }
            let file: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
            (file["pid"] == child.id()).then_some(file)
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }

    pub(crate) fn end(self) -> Output {
        self.child.wait_with_output().unwrap()
    }
}

pub(crate) fn store_pids(file: &Value) -> Vec<i64> {
    file["stores"].as_object().unwrap().values().filter_map(|store| store["pid"].as_i64()).collect()
}

pub(crate) fn is_alive(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

pub(crate) fn sdk(file: &Value) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "local", "local", None, None, "test",
        )))
        .endpoint_url(file["addresses"]["aws"].as_str().unwrap())
        .build()
}
