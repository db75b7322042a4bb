//! Where stations are kept: Aurora (the truth), MongoDB (the OpenChargeMap mirror) and the names of the Redis keys.

pub(crate) mod aurora;
pub(crate) mod mirror;
mod secret;

pub(crate) use secret::secret;

use shared::{Cache, StationId};
use uuid::Uuid;

/// Counts up whenever all cached lists of stations are out of date.
const GENERATION: &str = "stations:generation";

/// Holds a GraphQL `Station` as JSON.
pub(crate) fn detail_key(id: StationId) -> String {
    format!("station:{id}:detail")
}

/// A hash of a controlled connector's live `status` and `updatedAt`.
pub(crate) fn connector_key(station: StationId, connector: Uuid) -> String {
    format!("station:{station}:connectors:{connector}")
}

/// Where the last list of searches like that one is kept, whatever has changed since.
pub(crate) fn last_list_key(hash: &str) -> String {
    format!("stations:last:{hash}")
}

/// Where the list of a search is kept, `hash` telling searches apart; none when Redis is gone.
pub(crate) async fn list_key(cache: &Cache, hash: &str) -> Option<String> {
    let generation = cache.ask(async |redis| redis::AsyncTypedCommands::get(redis, GENERATION).await).await?;
    Some(format!("stations:list:{}:{hash}", generation.as_deref().unwrap_or("0")))
}
