//! Stripe: PyPI's localstripe in its place, told where our webhook is.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tokio::net::TcpStream;

use super::process::{Process, Spec};
use super::{Places, StoreError, StoreInfo, in_folder};
use crate::ports::here;

const NAME: &str = "localstripe";

/// A stand-in that is installed.
pub(crate) struct Stripe {
    python: PathBuf,
    launcher: PathBuf,
    webhook: Webhook,
}

/// Where the stand-in reports to.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    /// Signs what it sends.
    pub(crate) secret: String,
}

impl Stripe {
    /// The stand-in that `launcher` starts; none unless both are there.
    pub(crate) fn find(places: &Places, launcher: PathBuf, webhook: Webhook) -> Option<Self> {
        let programs = places.tools.join("venv/bin");
        in_folder(&programs, NAME)?;
        let python = std::path::absolute(in_folder(&programs, "python")?).ok()?;
        launcher.is_file().then_some(Self { python, launcher, webhook })
    }

    pub(super) async fn start(&self, places: &Places, port: u16) -> Result<(StoreInfo, Process), StoreError> {
        let Webhook { url: webhook, secret } = &self.webhook;
        let mut command = Command::new(&self.python);
        command.arg(&self.launcher).args(["--port", &port.to_string()]);
        command.arg("--folder").arg(places.data.join(NAME));
        command.args(["--webhook-url", webhook, "--webhook-secret", secret]);
        let spec = Spec { name: NAME, command, stop: Signal::TERM };
        let mut process = Process::start(&places.data, spec)?;
        process.ready(async || TcpStream::connect(here(port)).await.is_ok()).await?;
        let kind = "localstripe (stand-in for Stripe)".to_owned();
        Ok((StoreInfo { kind, pid: Some(process.pid()), url: url(port) }, process))
    }
}

/// Where the API begins, known before anything runs.
pub(super) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
