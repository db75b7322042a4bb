//! Stations: the OpenChargeMap mirror and its synchronisation, the search around a point, and a station's details.
//! Told to GraphQL and, in fewer words, to `/v1`. Reads the connectors that chargers and vendors report of; starts nothing,
//! bills nothing.

pub mod cells;
mod detail;
pub mod geo;
pub mod model;
mod nearby;
pub mod ocm;
mod store;
mod sync;
pub mod v1;

pub use detail::{Details, GetStation, get};
pub use nearby::{Circle, Filters, Nearby, Search, StationEdge, StationPage, mirror_filter, nearby};
pub use store::mirror::COLLECTION as MIRROR_COLLECTION;
pub use sync::{Report, SyncRequest, Synchronisation, synchronise};
