//! `getSession`.

use serde::Deserialize;
use shared::{Caller, Failure, Role, SessionId};

use crate::{Session, Stores};

/// The arguments of `Query.getSession`.
#[derive(Debug, Deserialize)]
pub struct GetRequest {
    /// The session to show.
    pub id: SessionId,
}

/// The caller's session, or anybody's for an operator; somebody else's is as good as none. An open one may be told from
/// the cache.
pub async fn get(stores: &Stores, caller: Caller, request: GetRequest) -> Result<Session, Failure> {
    let user = caller.user()?;
    let session = match stores.cached(request.id).await {
        Some(session) => {
            Some(session).filter(|it| it.user_id == user.id || user.roles.contains(&Role::Operator))
        }
        None => stores.visible(user, request.id).await?,
    };
    session.ok_or(Failure::NotFound("session"))
}
