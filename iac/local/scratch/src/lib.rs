//! Servers of a test's own, each on a free port and gone with the test. Only tests depend on this, so it panics where
//! a program would report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod aws;
mod data_api;
mod postgres;
mod redis;
mod server;

pub use aws::{aws, aws_at, bus};
pub use data_api::{CLUSTER, DataApi, SECRET};
pub use postgres::Postgres;
pub use redis::Redis;
pub use server::{Server, free_port, until};
