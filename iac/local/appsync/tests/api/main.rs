//! The door as its clients see it: real HTTP, real WebSockets, real JavaScript; only the functions are closures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::needless_pass_by_value)]

mod authorization;
mod definition;
mod execution;
mod limits;
mod realtime;
mod resolvers;
mod support;
mod tls;
mod validation;
