//! The tariff that holds at a station.

use serde::Deserialize;
use shared::{Caller, Database, Failure, StationId};

use crate::input::Moment;
use crate::price::Tariff;
use crate::store;

/// Arguments of `Query.tariff`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetTariff {
    station_id: StationId,
    at: Option<Moment>,
}

/// The tariff that a session is billed by which starts there then; now unless told.
pub async fn get_tariff(
    database: &Database,
    caller: &Caller,
    GetTariff { station_id, at }: GetTariff,
) -> Result<Tariff, Failure> {
    let driver = caller.user()?.id;
    let at = at.map_or(caller.at, |moment| moment.0);
    let terms = store::terms(database, station_id, driver, at).await?;
    if !terms.station_exists {
        return Err(Failure::NotFound("station"));
    }
    terms.tariff.ok_or(Failure::NotFound("tariff"))
}
