//! `activeSessions`: the caller's own that have not ended.

use serde::Deserialize;
use shared::{Caller, Failure};

use crate::{Session, Stores};

/// `Query.activeSessions` has no arguments.
#[derive(Debug, Deserialize)]
pub struct ActiveRequest {}

/// The caller's open sessions, newest first; no driver has as many as the hundred that are shown.
pub async fn active(stores: &Stores, caller: Caller, _: ActiveRequest) -> Result<Vec<Session>, Failure> {
    stores.active(caller.user()?.id).await
}
