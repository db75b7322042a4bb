//! `listSessions`: the caller's own, newest first.

use serde::Deserialize;
use shared::{Caller, Cursor, Failure, First, Page};

use crate::{Session, Status, Stores};

/// The arguments of `Query.listSessions`.
#[derive(Debug, Deserialize)]
pub struct ListRequest {
    /// Only those in this state.
    pub status: Option<Status>,
    /// How many.
    pub first: Option<First>,
    /// The `endCursor` of the page before.
    pub after: Option<Cursor>,
}

/// A page of the caller's sessions.
pub async fn list(stores: &Stores, caller: Caller, request: ListRequest) -> Result<Page<Session>, Failure> {
    let driver = caller.user()?.id;
    let first = request.first.unwrap_or_default();
    let before = request.after.map(|cursor| cursor.key()).transpose()?;
    let rows = stores.list(driver, request.status, before, first.with_lookahead()).await?;
    Page::of(first, rows, |session| session.id)
}
