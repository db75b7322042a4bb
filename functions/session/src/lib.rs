//! Charging sessions: how drivers and operators start, end, correct and read them, and how the facts that chargers
//! report move them on. Knows no OCPP: `charger` turns messages into [`Fact`]s.

mod active;
mod cached;
mod end;
mod get;
mod list;
mod meter_values;
mod session;
mod start;
mod store;
mod transaction;
mod update;
mod watch;

pub use active::{ActiveRequest, active};
pub use end::{EndRequest, end};
pub use get::{GetRequest, get};
pub use list::{ListRequest, list};
pub use meter_values::{MeterValue, MeterValuesRequest, meter_values};
pub use session::{Session, Status};
pub use start::{IdempotencyKey, StartInput, StartRequest, start};
pub use store::Stores;
pub use transaction::{ConnectorStatus, Fact, FactKind, MeterReading, Reported, TagStatus, report};
pub use update::{CorrectedEnergy, UpdateInput, UpdateRequest, update};
pub use watch::{WatchRequest, watch};
