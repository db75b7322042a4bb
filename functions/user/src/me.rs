//! The caller's own account.

use shared::{Caller, Database, Failure};

use crate::account::Account;
use crate::store;

/// The account whose token was sent.
pub async fn me(database: &Database, caller: &Caller) -> Result<Account, Failure> {
    store::account(database, caller.user()?.id).await?.ok_or(Failure::NotFound("account"))
}
