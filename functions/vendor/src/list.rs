//! `vendors`: the networks that report, and their keys without the secrets.

use serde::Deserialize;
use shared::{Caller, Cursor, Database, Failure, First, Page, Role, VendorId};

use crate::{Vendor, store};

/// The arguments of `Query.vendors`.
#[derive(Debug, Deserialize)]
pub struct ListVendors {
    first: Option<First>,
    after: Option<Cursor>,
}

/// A page of all vendors, newest first.
pub async fn vendors(
    database: &Database,
    caller: &Caller,
    asked: ListVendors,
) -> Result<Page<Vendor>, Failure> {
    caller.with_role(Role::Operator)?;
    let first = asked.first.unwrap_or_default();
    let after = asked.after.as_ref().map(Cursor::key::<VendorId>).transpose()?;
    let rows = store::vendors(database, after, first.with_lookahead(), caller.at).await?;
    Page::of(first, rows, |vendor| vendor.id)
}
