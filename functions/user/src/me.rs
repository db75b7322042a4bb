//! The caller's own account.

use shared::{Caller, Database, Failure};

use crate::account::Account;
use crate::store;

/// A token outlives its account by minutes.
pub(crate) const GONE: Failure = Failure::Unauthenticated("the account is gone");

/// The account whose token was sent.
pub async fn me(database: &Database, caller: &Caller) -> Result<Account, Failure> {
    store::account(database, caller.user()?.id).await?.ok_or(GONE)
}
