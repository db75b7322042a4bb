//! The bus as operators and drivers meet it: against a real PostgreSQL behind the Data API's door, and a real SQS, SNS
//! and EventBridge API.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod aws;
mod fuse;
mod notifying;
mod outbox;
mod purging;
mod reading;
mod reconciling;
mod relaying;
mod replaying;
mod world;
