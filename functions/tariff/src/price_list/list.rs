//! The whole price list, for operators.

use serde::Deserialize;
use shared::{Caller, Cursor, Database, Failure, First, Page, Role, StationId, TariffId};

use crate::input::Name;
use crate::price::Tariff;
use crate::store;

/// Arguments of `Query.listTariffs`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTariffs {
    station_id: Option<StationId>,
    operator: Option<Name>,
    first: Option<First>,
    after: Option<Cursor>,
}

/// All tariffs, or those of one station or one operator, past and future ones included; the last written first.
pub async fn list_tariffs(
    database: &Database,
    caller: &Caller,
    ListTariffs { station_id, operator, first, after }: ListTariffs,
) -> Result<Page<Tariff>, Failure> {
    caller.with_role(Role::Operator)?;
    if station_id.is_some() && operator.is_some() {
        return Err(Failure::invalid("operator", "cannot be asked for beside a station"));
    }
    let first = first.unwrap_or_default();
    let after = after.map(|cursor| cursor.key::<TariffId>()).transpose()?;
    let operator = operator.map(|name| name.0);
    let rows = store::tariffs(database, station_id, operator, after, first.with_lookahead()).await?;
    Page::of(first, rows, |tariff| tariff.id)
}
