//! The cars of the caller's account.

use serde::Deserialize;
use shared::{Caller, Database, Failure, VehicleId};

use crate::account::{Vehicle, VehicleInput};
use crate::me::GONE;
use crate::store::{self, Adding};

/// An account has no more cars than this.
const AT_MOST: i64 = 20;

/// Arguments of `Mutation.addVehicle`.
#[derive(Deserialize)]
pub struct AddVehicle {
    input: VehicleInput,
}

/// Adds a car, up to 20.
pub async fn add_vehicle(
    database: &Database,
    caller: &Caller,
    AddVehicle { input }: AddVehicle,
) -> Result<Vehicle, Failure> {
    let vehicle = input.into_vehicle(VehicleId::new());
    match store::add_vehicle(database, caller.user()?.id, &vehicle, AT_MOST, caller.at).await? {
        Adding::Added => Ok(vehicle),
        Adding::TooMany => Err(Failure::conflict("TOO_MANY_VEHICLES", "an account has at most 20 vehicles")),
        Adding::NoAccount => Err(GONE),
    }
}

/// Arguments of `Mutation.updateVehicle`.
#[derive(Deserialize)]
pub struct UpdateVehicle {
    id: VehicleId,
    input: VehicleInput,
}

/// Describes one of the caller's cars anew.
pub async fn update_vehicle(
    database: &Database,
    caller: &Caller,
    UpdateVehicle { id, input }: UpdateVehicle,
) -> Result<Vehicle, Failure> {
    let vehicle = input.into_vehicle(id);
    let is_theirs = store::update_vehicle(database, caller.user()?.id, &vehicle).await?;
    is_theirs.then_some(vehicle).ok_or(Failure::NotFound("vehicle"))
}

/// Arguments of `Mutation.removeVehicle`.
#[derive(Deserialize)]
pub struct RemoveVehicle {
    id: VehicleId,
}

/// Removes one of the caller's cars and gives its id. A car that the caller does not have is as good as removed.
pub async fn remove_vehicle(
    database: &Database,
    caller: &Caller,
    RemoveVehicle { id }: RemoveVehicle,
) -> Result<VehicleId, Failure> {
    store::remove_vehicle(database, caller.user()?.id, id).await?;
    Ok(id)
}
