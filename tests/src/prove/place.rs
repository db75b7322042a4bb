//! A stack of a proof's own, which may be disturbed without disturbing anybody: fresh data, free ports, and fault
//! proxies before the database and the bus where they are wanted. It ends with the proof, however that ends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rand::Rng;
use tokio::process::{Child, ChildStdin, Command};

use crate::Result;
use crate::prove::faults::Faults;
use crate::stack::Stack;
use crate::wait;

/// From the command to the table of addresses; other tests may have both cores.
const UP_WITHIN: Duration = Duration::from_secs(60);
const DOWN_WITHIN: Duration = Duration::from_secs(20);
/// Consecutive ports of a stack, in the order that `local up --help` tells.
const PORTS: u16 = 12;
const DATA_API: u16 = 5;
const AWS: u16 = 6;

/// Where the binaries of functions and stack are.
#[derive(Debug, Clone)]
pub struct Place {
    bin_dir: PathBuf,
}

/// What a stack of a proof's own needs beyond the template.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Needs {
    /// Proxies between the functions and what they call.
    pub(super) faults: bool,
    /// Template parameters, `NAME=VALUE`.
    pub(super) parameters: &'static [&'static str],
    /// The port of a Redis that the functions use instead of the stack's, with which the stack would end.
    pub(super) redis: Option<u16>,
}

/// A running stack.
pub(super) struct OwnStack {
    /// Its addresses.
    pub(super) stack: Stack,
    /// What may go wrong between functions, database and bus; nothing until it is told.
    pub(super) faults: Option<Faults>,
    child: Child,
    /// The stack ends when nobody holds this any more: a proof that is killed leaves nothing behind.
    hold: Option<ChildStdin>,
    data: PathBuf,
    bin_dir: PathBuf,
}

impl Place {
    /// The binaries of this folder.
    pub fn new(bin_dir: PathBuf) -> Self {
        Self { bin_dir }
    }

    /// The binaries that were built with this program: `LOCAL_BIN_DIR`, or beside it.
    pub fn of_this_program() -> Result<Self> {
        if let Some(folder) = std::env::var_os("LOCAL_BIN_DIR") {
            return Ok(Self::new(folder.into()));
        }
        let program = std::env::current_exe()?;
        let folder = program.parent().ok_or("this program is nowhere")?;
        // Tests are one folder deeper, among what they were built from.
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        Ok(Self::new(folder.to_owned()))
    }

    /// Starts a stack for the proof `name`.
    pub(super) async fn stack(&self, name: &str, needs: Needs) -> Result<OwnStack> {
        let data = Stack::root()
            .canonicalize()?
            .join(".local/proofs")
            .join(format!("{name}-{}", std::process::id()));
        let mut tries = 0;
        loop {
            tries += 1;
            match self.start(&data, needs).await {
                // Somebody else took one of the ports between the look and the start.
                Err(error) if tries < 5 && error.to_string().contains("is taken by another program") => {}
                started => return started,
            }
        }
    }

    /// Runs `proof` on a stack of its own, and ends that. What a failed one logged is kept.
    pub(super) async fn prove<T>(
        &self,
        name: &str,
        needs: Needs,
        proof: impl AsyncFnOnce(&OwnStack) -> Result<T>,
    ) -> Result<T> {
        let own = self.stack(name, needs).await?;
        match proof(&own).await {
            Ok(proven) => own.stop().await.map(|()| proven),
            Err(error) => Err(format!("{error} (see {})", own.stack.log().display()).into()),
        }
    }

    async fn start(&self, data: &Path, needs: Needs) -> Result<OwnStack> {
        let _ = std::fs::remove_dir_all(data);
        std::fs::create_dir_all(data)?;
        let base = free_ports()?;
        let faults = if needs.faults { Some(Faults::open(base + DATA_API, base + AWS).await?) } else { None };
        let root = Stack::root();
        let mut command = Command::new(self.bin_dir.join("local"));
        command
            .args(["run", "--quiet", "--no-fsync", "--port-base", &base.to_string()])
            .arg("--bin-dir")
            .arg(&self.bin_dir)
            .arg("--data")
            .arg(data)
            .arg("--ocm-server")
            .arg(self.bin_dir.join("ocm-server"))
            .args(needs.parameters.iter().flat_map(|parameter| ["--parameter", parameter]));
        for (variable, path) in [("LOCAL_TEMPLATE", "template.yaml"), ("LOCAL_TOOLS", ".local")] {
            if std::env::var_os(variable).is_none() {
                command.env(variable, root.join(path));
            }
        }
        if let Some(faults) = &faults {
            for (variable, address) in
                [("AWS_ENDPOINT_URL_RDS_DATA", faults.database), ("AWS_ENDPOINT_URL_EVENTBRIDGE", faults.bus)]
            {
                command.arg("--function-env").arg(format!("{variable}=http://{address}"));
            }
        }
        if let Some(port) = needs.redis {
            command.arg("--function-env").arg(format!("REDIS_URL=redis://127.0.0.1:{port}"));
        }
        let mut child = command
            // It ends when our end of its pipe is gone.
            .args(["--", "cat"])
            .current_dir(&root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(data.join("stderr.log"))?)
            .spawn()
            .map_err(|error| format!("{}/local: {error}", self.bin_dir.display()))?;
        let hold = child.stdin.take();
        let file = data.join("stack.json");
        let stack = wait::until("the stack to be up", UP_WITHIN, async || {
            if let Some(status) = child.try_wait()? {
                let said = std::fs::read_to_string(data.join("stderr.log")).unwrap_or_default();
                return Err(format!("the stack ended ({status}): {said}").into());
            }
            if file.exists() { Stack::read(&file).map(Some) } else { Ok(None) }
        })
        .await?;
        if let Some(faults) = &faults {
            faults.of_stack(stack.pid);
        }
        Ok(OwnStack { stack, faults, child, hold, data: data.to_owned(), bin_dir: self.bin_dir.clone() })
    }
}

impl OwnStack {
    /// A program that was built with the functions.
    pub(super) fn binary(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// The proxies, where they were asked for.
    pub(super) fn faults(&self) -> Result<&Faults> {
        Ok(self.faults.as_ref().ok_or("this stack has no proxies")?)
    }

    /// Ends it and forgets its data.
    pub(super) async fn stop(mut self) -> Result<()> {
        drop(self.hold.take());
        let ended = tokio::time::timeout(DOWN_WITHIN, self.child.wait()).await;
        ended.map_err(|_| format!("the stack did not end within {DOWN_WITHIN:?}"))??;
        Ok(std::fs::remove_dir_all(&self.data)?)
    }
}

/// The first of twelve ports that are free now, below those that the kernel gives to clients.
fn free_ports() -> Result<u16> {
    let is_free = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok();
    let mut dice = rand::rng();
    for _ in 0..100 {
        let base = dice.random_range(15_000..32_000_u16);
        if (base..base + PORTS).all(is_free) {
            return Ok(base);
        }
    }
    Err("no twelve consecutive ports are free".into())
}
