//! The command: `local up`, `local run`, `local env`, `local schema`.

use clap::Parser;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    local::run(local::Cli::parse()).await
}
