//! The OpenChargeMap stand-in as a process of its own: what `sync-ocm` mirrors on a machine without the internet.

use clap::Parser;
use tests::ocm_server::{Behaviour, Catalogue, OcmServer};
use uuid::Uuid;

/// Serves the real POIs of `tests/ocm` as OpenChargeMap's API does.
#[derive(Parser)]
struct Options {
    /// Loopback port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The only API key it takes, a GUID; any GUID unless told.
    #[arg(long)]
    key: Option<Uuid>,
    /// Answers every n-th request for POIs with 502.
    #[arg(long)]
    fail_every: Option<u64>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let behaviour = Behaviour { key: options.key, fail_every: options.fail_every };
    let server = OcmServer::start(Catalogue::real()?, behaviour, options.port).await?;
    println!("OpenChargeMap stand-in at {}", server.url());
    server.wait().await;
    Ok(())
}
