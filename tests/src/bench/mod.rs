//! The figures of `make bench`: what is measured, and how it is told.

pub mod billed;
pub mod billing;
mod database;
pub mod drivers;
pub mod figure;
pub mod hold_script;
pub mod live;
pub mod load;
pub mod login;
mod pgbench;
pub mod processor;
mod provider;
pub mod push;
pub mod rest;
pub mod sample;
pub mod service;
pub mod slots;
pub mod spawn;
mod tpc_b;
pub mod uncached;
pub mod usual;
pub mod vendor_webhook;
pub mod webhook;
