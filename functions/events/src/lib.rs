//! What keeps events and caches honest: the outbox's relay, and the cache's refresh by what the bus tells. Owns no
//! table.

mod cached;
mod refresh;
mod relay;

pub use refresh::{News, refresh};
pub use relay::{RelayReport, RelayRequest, relay};
