//! Cars of accounts.

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::{Database, DatabaseError, Failure, Statement, Timestamp, UserId, VehicleId};

use crate::account::Vehicle;

/// What adding a car came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Adding {
    Added,
    TooMany,
    NoAccount,
}

/// Adds `vehicle` unless its owner has `at_most` already.
pub(crate) async fn add_vehicle(
    database: &Database,
    owner: UserId,
    vehicle: &Vehicle,
    at_most: i64,
    now: Timestamp,
) -> Result<Adding, Failure> {
    let add = Statement::new(
        "SELECT to_jsonb(add_vehicle(:owner::uuid, :vehicle::jsonb, :at_most::integer, :now::timestamptz))",
    );
    let add = add
        .bind("owner", owner)
        .bind("vehicle", serde_json::to_value(vehicle).map_err(Failure::fault)?)
        .bind("at_most", at_most)
        .bind("now", now);
    Ok(database.row(add).await?.unwrap_or(Adding::NoAccount))
}

/// Whether `owner` has this car, which is as told now.
pub(crate) async fn update_vehicle(
    database: &Database,
    owner: UserId,
    vehicle: &Vehicle,
) -> Result<bool, DatabaseError> {
    let update = Statement::new(
        "UPDATE vehicles SET brand = :brand::text, model = :model::text, battery_capacity_kwh = :capacity::numeric
         WHERE id = :id::uuid AND user_id = :owner::uuid
         RETURNING to_jsonb(id)",
    );
    let update = update
        .bind("id", vehicle.id)
        .bind("owner", owner)
        .bind("brand", vehicle.brand.as_str())
        .bind("model", vehicle.model.as_str())
        .bind("capacity", vehicle.battery_capacity);
    Ok(database.row::<IgnoredAny>(update).await?.is_some())
}

/// Removes the car if it is `owner`'s.
pub(crate) async fn remove_vehicle(
    database: &Database,
    owner: UserId,
    vehicle: VehicleId,
) -> Result<(), DatabaseError> {
    let remove = Statement::new("DELETE FROM vehicles WHERE id = :id::uuid AND user_id = :owner::uuid");
    database.rows::<IgnoredAny>(remove.bind("id", vehicle).bind("owner", owner)).await.map(drop)
}
