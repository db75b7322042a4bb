//! A Redis of the proof's own, with the stack's settings, that may die: the stack would end with its own one.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use ::redis::AsyncTypedCommands;
use ::redis::aio::MultiplexedConnection;
use rand::Rng;
use tokio::process::{Child, ChildStdin, Command};

use crate::prove::processes;
use crate::{Result, wait};

const UP_WITHIN: Duration = Duration::from_secs(20);
/// The shell is there so that Redis ends when our end of its pipe is gone, however we end.
const RUN: &str =
    r#"redis-server "$@" >/dev/null 2>&1 & server=$!; cat >/dev/null; kill "$server" 2>/dev/null"#;

/// It runs, or is dead.
pub(super) struct OwnRedis {
    port: u16,
    running: Option<Running>,
}

struct Running {
    shell: Child,
    hold: ChildStdin,
}

impl OwnRedis {
    /// A running, empty one.
    pub(super) async fn start() -> Result<Self> {
        let mut redis = Self { port: free_port()?, running: None };
        redis.begin().await?;
        Ok(redis)
    }

    /// Where it listens, or will again.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again, empty, where it was.
    pub(super) async fn begin(&mut self) -> Result<()> {
        let folder = std::env::temp_dir();
        let mut shell = Command::new("sh")
            .args(["-c", RUN, "sh", "--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--daemonize", "no", "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let hold = shell.stdin.take().ok_or("a shell without a pipe")?;
        self.running = Some(Running { shell, hold });
        wait::until("Redis to answer", UP_WITHIN, async || {
            let Ok(mut connection) = self.connect().await else { return Ok(None) };
            Ok(connection.ping().await.is_ok().then_some(()))
        })
        .await
    }

    /// Kills it as the kernel would.
    pub(super) async fn kill(&mut self) -> Result<()> {
        let Running { mut shell, hold } = self.running.take().ok_or("Redis is dead already")?;
        let parent = shell.id().ok_or("the shell of Redis has ended")?;
        let found = processes::children(parent);
        // Debian's redis-server is a link to a program that checks data files, too.
        let server = found.iter().find(|process| process.function.starts_with("redis"));
        let server = server.ok_or_else(|| format!("Redis is none of {found:?}"))?;
        if !processes::kill(parent, server) {
            return Err("Redis had ended by itself".into());
        }
        drop(hold);
        shell.wait().await?;
        Ok(())
    }

    /// The text under `key`.
    pub(super) async fn text(&self, key: &str) -> Result<String> {
        Ok(self.connect().await?.get(key).await?.unwrap_or_default())
    }

    async fn connect(&self) -> Result<MultiplexedConnection> {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        Ok(client.get_multiplexed_async_connection().await?)
    }
}

/// Below those that the kernel gives to clients, and beside those of stacks: it must still be free after a death.
fn free_port() -> Result<u16> {
    let mut dice = rand::rng();
    let some = (0..100).map(|_| dice.random_range(11_000..13_900_u16));
    let mut free = some.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    Ok(free.next().ok_or("no port is free for Redis")?)
}
