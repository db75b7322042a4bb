//! `onSessionStatusChanged`: who may subscribe. What subscribers get comes from the bus, not from here.

use serde::Deserialize;
use shared::{Caller, Failure, SessionId};

use crate::Stores;

/// The arguments of `Subscription.onSessionStatusChanged`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchRequest {
    /// The session to hear of.
    pub session_id: SessionId,
}

/// Allows the subscription to the session's driver and to operators; the answer itself is nothing.
pub async fn watch(stores: &Stores, caller: Caller, request: WatchRequest) -> Result<(), Failure> {
    let session = stores.visible(caller.user()?, request.session_id).await?;
    session.map(drop).ok_or(Failure::NotFound("session"))
}
