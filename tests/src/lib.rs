//! What end-to-end tests, the demo and the benchmarks share: the running stack's addresses, an app's side of
//! GraphQL and its subscriptions, accounts, and chargers that are not ours. Goes through the front doors alone.

pub mod accounts;
pub mod bench;
pub mod bus;
pub mod capacity;
pub mod charge_point;
pub mod graphql;
pub mod journey;
pub mod ocm_server;
pub mod ocpp_socket;
pub mod prove;
pub mod realtime;
pub mod stack;
pub mod wait;

/// What a test or demo step fails with: told to a person, never matched on.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// The outcome of a step.
pub type Result<T> = std::result::Result<T, Error>;
