//! The peer of the billing figure: PostgreSQL's own TPC-B-like benchmark on the same server, prepared statements.

use std::path::PathBuf;
use std::process::Output;

use tokio::process::Command;

use crate::Result;
use crate::stack::Stack;

/// Transactions a second of `clients` connections for `seconds`, on tables that are there. A second before that does not
/// count: the connections are new, and plan their statements in it.
pub(super) async fn measure(stack: &Stack, clients: usize, seconds: u64) -> Result<f64> {
    let (clients, all_seconds) = (clients.to_string(), (seconds + 1).to_string());
    let load = ["-M", "prepared", "-n", "-c", &clients, "-j", "2", "-T", &all_seconds, "-P", "1"];
    let output = run(stack, &load).await?;
    let (told, progress) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    let mean = rate(told.lines(), "tps = ", " ")?;
    let first = rate(progress.lines(), "progress: 1.0 s, ", " tps")?;
    Ok((mean * (seconds + 1) as f64 - first) / seconds as f64)
}

/// The number between `before`, which a line begins with, and `after`.
fn rate<'a>(mut lines: impl Iterator<Item = &'a str>, before: &str, after: &str) -> Result<f64> {
    let number = lines.find_map(|line| line.strip_prefix(before)?.split(after).next());
    Ok(number.ok_or_else(|| format!("pgbench told no {before}"))?.parse()?)
}

/// As many branches as clients, so that the peer is not held up by its own rows.
pub(super) async fn create_tables(stack: &Stack, branches: usize) -> Result<()> {
    run(stack, &["-i", "-q", "-s", &branches.to_string()]).await.map(drop)
}

pub(super) async fn drop_tables(stack: &Stack) -> Result<()> {
    run(stack, &["-i", "-I", "d", "-q"]).await.map(drop)
}

async fn run(stack: &Stack, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(program()?).args(arguments).arg(&stack.postgres_url).output().await?;
    if !output.status.success() {
        return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(output)
}

/// Debian keeps it beside the server, in a folder named by the version.
fn program() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")?.filter_map(|entry| Some(entry.ok()?.path()));
    let found = versions.map(|version| version.join("bin/pgbench")).filter(|path| path.is_file()).max();
    found.ok_or_else(|| "there is no pgbench: it comes with Debian's postgresql".into())
}
