//! A charger that is not ours: PyPI's `ocpp` package, driven by `tests/charge_point/`, as a process of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Result;
use crate::stack::Stack;

/// The longest a step of the charger is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running charge point; it goes when this is dropped.
pub struct ChargePoint {
    process: Child,
    steps: UnboundedReceiver<Value>,
}

impl ChargePoint {
    /// Starts one that dials in as `id`. `version` is `1.6` or `2.0.1`; `speed` is how many times faster than the
    /// clock its meter runs.
    pub fn start(stack: &Stack, id: &str, password: &str, version: &str, speed: u32) -> Result<Self> {
        let root = Stack::root();
        let mut process = Command::new(root.join(".local/venv/bin/python"))
            .current_dir(Path::new(&root).join("tests"))
            .args(["-m", "charge_point", "--json-log", "--version", version])
            .args(["--url", &format!("{}{id}", stack.ocpp_url), "--password", password])
            .args(["--power-kw", "22", "--meter-interval", "1", "--speed", &speed.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the charge point has no output")?;
        let (sender, steps) = unbounded_channel();
        tokio::spawn(async move {
            let mut log = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = log.next_line().await {
                if serde_json::from_str(&line).is_ok_and(|step| sender.send(step).is_err()) {
                    break;
                }
            }
        });
        Ok(Self { process, steps })
    }

    /// The next step it logs. Nothing is lost when the wait for it is given up.
    pub async fn next(&mut self) -> Result<Value> {
        Ok(self.steps.recv().await.ok_or("the charge point ended")?)
    }

    /// The next step it logs for which `wanted` holds; steps before it pass to `seen`.
    pub async fn step(
        &mut self,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
        mut seen: impl FnMut(&Value),
    ) -> Result<Value> {
        let search = async {
            loop {
                let step = self.next().await?;
                seen(&step);
                if wanted(&step) {
                    return Ok(step);
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.map_err(|_| format!("waited {PATIENCE:?} in vain for the charge point: {what}"))?
    }

    /// Asks it to end and waits until it did.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.process.id() {
            Command::new("kill").arg(pid.to_string()).status().await?;
        }
        self.process.wait().await?;
        Ok(())
    }
}
