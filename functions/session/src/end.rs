//! `endSession`: the driver's or an operator's wish to stop.

use serde::Deserialize;
use shared::{Caller, Failure, Role, SessionId};

use crate::store::Unended;
use crate::{Session, Stores};

/// The arguments of `Mutation.endSession`.
#[derive(Debug, Deserialize)]
pub struct EndRequest {
    /// The session to end.
    pub id: SessionId,
}

/// Ends a session: `CANCELLED` at once if the charger has not begun, else `STOPPING` until the charger has stopped.
/// One that has ended is answered as it is; one that a vendor tells of is ended where it was begun.
pub async fn end(stores: &Stores, caller: Caller, request: EndRequest) -> Result<Session, Failure> {
    let user = caller.user()?;
    let driver = (!user.roles.contains(&Role::Operator)).then_some(user.id);
    let ended = stores.end(request.id, driver, caller.at).await?.ok_or(Failure::NotFound("session"))?;
    ended.map_err(|Unended::StationNotControlled| {
        Failure::conflict("STATION_NOT_CONTROLLED", "this session can only be ended at the connector")
    })
}
