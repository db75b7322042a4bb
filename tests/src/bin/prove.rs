//! `make prove`: tries at full size to lose an event, to charge somebody twice or to see what is somebody else's, and
//! prints a line for each way that failed. Every proof runs on a stack of its own.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tests::prove::{self, Place, Size};

/// Proves what the project promises, at full size.
#[derive(Parser)]
struct Options {
    /// Where the binaries of functions and stack are; beside this program unless told.
    #[arg(long)]
    bin_dir: Option<PathBuf>,
    /// Only this proof; may be given more than once.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(prove::NAMES))]
    only: Vec<String>,
    /// At the size of `make test`.
    #[arg(long)]
    small: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Options { bin_dir, only, small } = Options::parse();
    let place = match bin_dir.map_or_else(Place::of_this_program, |folder| Ok(Place::new(folder))) {
        Ok(place) => place,
        Err(error) => {
            eprintln!("prove: {error}");
            return ExitCode::FAILURE;
        }
    };
    let size = if small { Size::Small } else { Size::Full };
    let wanted = |name: &&str| only.is_empty() || only.iter().any(|only| only == name);
    let mut failed = 0;
    for name in prove::NAMES.into_iter().filter(wanted) {
        let began = Instant::now();
        let proven = prove::run(name, size, &place, prove::seed()).await;
        let took = began.elapsed().as_secs_f64();
        match proven {
            Ok(proof) => println!("proven  {:<18} {}  ({took:.0} s)", proof.name, proof.figure),
            Err(error) => {
                failed += 1;
                println!("FAILED  {error}  ({took:.0} s)");
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
