//! OpenChargeMap: what its POIs mean, how its API is paged through, and how it is asked politely.

pub(crate) mod backoff;
pub(crate) mod client;
pub mod mapping;
pub(crate) mod paging;
