//! The peer of the billing figure: PostgreSQL's own TPC-B-like benchmark on the same server, prepared statements.

use std::path::PathBuf;

use tokio::process::Command;

use crate::Result;
use crate::stack::Stack;

/// Transactions a second of `clients` connections for `seconds`, on tables that are there.
pub(super) async fn measure(stack: &Stack, clients: usize, seconds: u64) -> Result<f64> {
    let (clients, seconds) = (clients.to_string(), seconds.to_string());
    let load = ["-M", "prepared", "-n", "-c", &clients, "-j", "2", "-T", &seconds];
    let told = run(stack, &load).await?;
    let line = told.lines().find(|line| line.starts_with("tps = ")).ok_or("pgbench told no tps")?;
    let number = line.trim_start_matches("tps = ").split(' ').next().unwrap_or_default();
    Ok(number.parse()?)
}

/// As many branches as clients, so that the peer is not held up by its own rows.
pub(super) async fn create_tables(stack: &Stack, branches: usize) -> Result<()> {
    run(stack, &["-i", "-q", "-s", &branches.to_string()]).await.map(drop)
}

pub(super) async fn drop_tables(stack: &Stack) -> Result<()> {
    run(stack, &["-i", "-I", "d", "-q"]).await.map(drop)
}

async fn run(stack: &Stack, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program()?).args(arguments).arg(&stack.postgres_url).output().await?;
    if !output.status.success() {
        return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Debian keeps it beside the server, in a folder named by the version.
fn program() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")?.filter_map(|entry| Some(entry.ok()?.path()));
    let found = versions.map(|version| version.join("bin/pgbench")).filter(|path| path.is_file()).max();
    found.ok_or_else(|| "there is no pgbench: it comes with Debian's postgresql".into())
}
