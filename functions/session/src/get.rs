//! `getSession`.

use serde::Deserialize;
use shared::{Caller, Failure, SessionId};

use crate::{Session, Stores};

/// The arguments of `Query.getSession`.
#[derive(Debug, Deserialize)]
pub struct GetRequest {
    /// The session to show.
    pub id: SessionId,
}

/// The caller's session, or anybody's for an operator; somebody else's is as good as none.
pub async fn get(stores: &Stores, caller: Caller, request: GetRequest) -> Result<Session, Failure> {
    stores.visible(caller.user()?, request.id).await?.ok_or(Failure::NotFound("session"))
}
