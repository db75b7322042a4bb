//! The end of a tariff, by an operator's hand.

use serde::Deserialize;
use shared::{Caller, Database, Failure, Reason, Role, TariffId};

use crate::input::Moment;
use crate::price::Tariff;
use crate::store;

/// Arguments of `Mutation.endTariff`.
#[derive(Debug, Deserialize)]
pub struct EndTariff {
    id: TariffId,
    at: Option<Moment>,
    reason: Reason,
}

/// Ends a tariff now or later; one that ends by then anyway stays as it is. Before it begins, it is withdrawn.
pub async fn end_tariff(
    database: &Database,
    caller: &Caller,
    EndTariff { id, at, reason }: EndTariff,
) -> Result<Tariff, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let at = at.map_or(caller.at, |moment| moment.0);
    if at < caller.at {
        return Err(Failure::invalid("at", "must not be in the past"));
    }
    let tariff = store::end_tariff(database, id, at, operator, &reason, caller).await?;
    tariff.ok_or(Failure::NotFound("tariff"))
}
