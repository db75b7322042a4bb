//! Charging sessions: how drivers and operators start, end and read them, and how the facts that chargers report
//! move them on. Knows no OCPP: `charger` turns messages into [`Fact`]s.

mod end;
mod get;
mod list;
mod session;
mod start;
mod store;
mod transaction;
mod watch;

pub use end::{EndRequest, end};
pub use get::{GetRequest, get};
pub use list::{ListRequest, list};
pub use session::{Session, Status};
pub use start::{IdempotencyKey, StartInput, StartRequest, start};
pub use store::Stores;
pub use transaction::{ConnectorStatus, Fact, FactKind, Reported, TagStatus, report};
pub use watch::{WatchRequest, watch};
