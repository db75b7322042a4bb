//! An account as its owner sees it (GraphQL `User`), and its vehicles.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use shared::{Money, Role, Timestamp, UserId, VehicleId};

use crate::credentials::{Email, Name};

/// An account, without its password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its id, the `sub` of its tokens.
    pub id: UserId,
    /// What it logs in with.
    pub email: Email,
    /// What its owner is called.
    pub name: Name,
    /// What it may do.
    pub roles: Vec<Role>,
    /// In the order they were added.
    pub vehicles: Vec<Vehicle>,
    /// The sum of its ledger.
    #[serde(serialize_with = "to_the_smallest_coin")]
    pub wallet_balance: Money,
    /// When it was opened.
    pub created_at: Timestamp,
}

/// As balances are told.
pub(crate) fn to_the_smallest_coin<S: serde::Serializer>(
    money: &Money,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    money.rounded().serialize(serializer)
}

/// A car.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vehicle {
    /// Its id.
    pub id: VehicleId,
    /// `Tesla`.
    pub brand: String,
    /// `Model 3`.
    pub model: String,
    /// Usable energy in kWh.
    #[serde(with = "rust_decimal::serde::float")]
    pub battery_capacity: Decimal,
}

/// A car as it is entered: brand and model of 1 to 60 characters, more than 0 and up to 1,000 kWh.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VehicleInput {
    brand: Label,
    model: Label,
    battery_capacity: Capacity,
}

impl VehicleInput {
    /// The car under that id.
    pub(crate) fn into_vehicle(self, id: VehicleId) -> Vehicle {
        Vehicle { id, brand: self.brand.0, model: self.model.0, battery_capacity: self.battery_capacity.0 }
    }
}

#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
struct Label(String);

impl TryFrom<String> for Label {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let label = text.trim();
        if (1..=60).contains(&label.chars().count()) && !label.chars().any(char::is_control) {
            Ok(Self(label.to_owned()))
        } else {
            Err("must have 1 to 60 characters and no control characters")
        }
    }
}

/// Kilowatt-hours to the hundredth.
#[derive(Clone, Deserialize)]
#[serde(try_from = "f64")]
struct Capacity(Decimal);

impl TryFrom<f64> for Capacity {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        let capacity = Decimal::try_from(number).unwrap_or_default();
        let capacity = capacity.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        if capacity > Decimal::ZERO && capacity <= Decimal::ONE_THOUSAND {
            Ok(Self(capacity))
        } else {
            Err("must be above 0 and up to 1000 kWh")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_balance_is_told_to_the_cent_and_no_further() {
        let stored = json!({
            "id": "018f0000-0000-7000-8000-000000000001", "email": "ada@example.com", "name": "Ada",
            "roles": ["DRIVER"],
            "vehicles": [{ "id": "018f0000-0000-7000-8000-000000000002", "brand": "Tesla", "model": "Model 3",
                "batteryCapacity": 75.00 }],
            "walletBalance": { "amount": "12.5000", "currency": "EUR" },
            "createdAt": "2026-02-21T14:31:00.000Z",
        });
        let account: Account = serde_json::from_value(stored).unwrap();
        let shown = serde_json::to_value(&account).unwrap();
        assert_eq!(shown["walletBalance"], json!({ "amount": "12.50", "currency": "EUR" }));
        assert_eq!(shown["vehicles"][0]["batteryCapacity"], json!(75.0));
    }

    #[test]
    fn a_battery_is_of_this_world() {
        for wrong in [0.0, -1.0, 0.001, 1000.01, 1e300, f64::NAN] {
            assert!(Capacity::try_from(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Capacity::try_from(77.4).unwrap().0.to_string(), "77.4");
    }
}
