//! The figures of `make bench`: what is measured, and how it is told.

pub mod billed;
pub mod billing;
mod database;
pub mod figure;
pub mod load;
pub mod login;
pub mod pgbench;
pub mod push;
pub mod sample;
pub mod spawn;
pub mod tpc_b;
pub mod uncached;
pub mod webhook;
