//! Stations: the OpenChargeMap mirror and its synchronisation, the search around a point, and a station's details.
//! Reads the connectors that the charger context controls; starts nothing, bills nothing.

pub mod cells;
mod detail;
pub mod geo;
pub mod model;
mod nearby;
pub mod ocm;
mod store;
mod sync;

pub use detail::{Details, GetStation, get};
pub use nearby::{Circle, Filters, Nearby, Search, StationEdge, StationPage, mirror_filter, nearby};
pub use store::mirror::COLLECTION as MIRROR_COLLECTION;
pub use sync::{Report, SyncRequest, Synchronisation, synchronise};
