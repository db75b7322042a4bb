//! `listSessions`: one driver's, newest first.

use serde::Deserialize;
use shared::{Caller, Cursor, Failure, First, Page, Role, StationId, Timestamp, UserId};

use crate::{Session, Status, Stores};

/// The arguments of `Query.listSessions`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListRequest {
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those at this station.
    pub station_id: Option<StationId>,
    /// Only those created then or later.
    pub from: Option<Timestamp>,
    /// Only those created earlier.
    pub to: Option<Timestamp>,
    /// Whose, if not the caller's; for operators.
    pub user_id: Option<UserId>,
    /// How many.
    pub first: Option<First>,
    /// The `endCursor` of the page before.
    pub after: Option<Cursor>,
}

/// A page of the caller's sessions, or of another driver's for an operator.
pub async fn list(stores: &Stores, caller: Caller, request: ListRequest) -> Result<Page<Session>, Failure> {
    let caller_id = caller.user()?.id;
    let driver = request.user_id.unwrap_or(caller_id);
    if driver != caller_id {
        caller.with_role(Role::Operator)?;
    }
    let first = request.first.unwrap_or_default();
    let before = request.after.as_ref().map(Cursor::key).transpose()?;
    let rows = stores.list(driver, &request, before, first.with_lookahead()).await?;
    Page::of(first, rows, |session| session.id)
}
