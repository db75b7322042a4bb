//! This machine as a deployment target: starts the stores, stands up what `template.yaml` says, opens the
//! doors, and stops it all again. Each door is a crate of its own; this one only wires them.

mod addresses;
mod cli;
mod doors;
mod environment;
pub mod event_sources;
mod failed_events;
mod foundation;
mod keys;
mod lock;
mod ports;
mod resources;
mod schema;
mod stores;
mod up;

pub use cli::{Cli, run};
