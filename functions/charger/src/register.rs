//! `registerCharger`: an operator puts a charger and its connectors under our control.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{Caller, ChargerId, ConnectorId, Failure, Role, StationId, Timestamp};

use crate::{ChargePointId, PasswordHash, Registry};

/// More connectors than any charger has.
const MOST_CONNECTORS: usize = 64;

/// The arguments of `Mutation.registerCharger`.
#[derive(Debug, Deserialize)]
pub struct RegisterRequest {
    input: RegisterInput,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterInput {
    station_id: StationId,
    charge_point_id: ChargePointId,
    password: Password,
    connectors: Vec<RegisterConnector>,
}

/// One connector, also as the database function takes it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RegisterConnector {
    #[serde(skip_deserializing, default = "ConnectorId::new")]
    id: ConnectorId,
    number: ConnectorNumber,
    r#type: ConnectorType,
    #[serde(rename = "powerKW")]
    power: Power,
}

/// OCPP's passwordString: 16 to 40 printable ASCII characters.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Password(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
struct ConnectorNumber(u8);

#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[derive(Clone)]
struct ConnectorType(String);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
struct Power(f64);

/// The GraphQL `Charger`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Charger {
    id: ChargerId,
    charge_point_id: ChargePointId,
    station_id: StationId,
    connectors: Vec<Value>,
    created_at: Timestamp,
}

/// Sets the charger up; its password is kept as a hash alone, and who did it goes to the audit log.
pub async fn register(
    registry: &Registry,
    caller: Caller,
    request: RegisterRequest,
) -> Result<Charger, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let RegisterInput { station_id, charge_point_id, password, connectors } = request.input;
    let numbers: HashSet<_> = connectors.iter().map(|connector| connector.number).collect();
    if !(1..=MOST_CONNECTORS).contains(&connectors.len()) || numbers.len() < connectors.len() {
        return Err(Failure::invalid("input.connectors", "must be 1 to 64, each with its own number"));
    }
    let hash = PasswordHash::of(password.0.as_bytes())?;
    let connectors = serde_json::to_value(connectors).map_err(Failure::fault)?;
    registry
        .register(&charge_point_id, station_id, &hash, connectors, operator, caller.correlation_id, caller.at)
        .await
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (16..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some(Self(text)).ok_or("must be 16 to 40 printable ASCII characters without spaces")
    }
}

impl TryFrom<i64> for ConnectorNumber {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        u8::try_from(number).ok().filter(|number| *number > 0).map(Self).ok_or("must be 1 to 255")
    }
}

impl From<ConnectorNumber> for i64 {
    fn from(number: ConnectorNumber) -> Self {
        number.0.into()
    }
}

impl TryFrom<String> for ConnectorType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.trim();
        let fits = (1..=80).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned())).ok_or("must be 1 to 80 characters")
    }
}

impl From<ConnectorType> for String {
    fn from(name: ConnectorType) -> Self {
        name.0
    }
}

impl TryFrom<f64> for Power {
    type Error = &'static str;

    fn try_from(kilowatts: f64) -> Result<Self, Self::Error> {
        (kilowatts > 0.0 && kilowatts <= 2000.0)
            .then_some(Self(kilowatts))
            .ok_or("must be above 0, up to 2000")
    }
}

impl From<Power> for f64 {
    fn from(power: Power) -> Self {
        power.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn request(field: &str, value: Value) -> Result<RegisterRequest, serde_json::Error> {
        let mut input = json!({
            "stationId": "0198c0de-0000-7000-8000-000000000003",
            "chargePointId": "CP-1",
            "password": "0123456789abcdef",
            "connectors": [{"number": 1, "type": "CCS (Type 2)", "powerKW": 150}],
        });
        match input.pointer_mut(field) {
            Some(place) => *place = value,
            None => input[field] = value,
        }
        serde_json::from_value(json!({ "input": input }))
    }

    #[test]
    fn every_field_is_bounded() {
        assert!(request("/password", json!("0123456789abcdef")).is_ok());
        for (field, value) in [
            ("/chargePointId", json!("CP:1")),
            ("/password", json!("short")),
            ("/password", json!("x".repeat(41))),
            ("/connectors/0/number", json!(0)),
            ("/connectors/0/number", json!(256)),
            ("/connectors/0/type", json!(" ")),
            ("/connectors/0/powerKW", json!(0)),
            ("/connectors/0/powerKW", json!(1e9)),
        ] {
            assert!(request(field, value.clone()).is_err(), "{field} {value}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let request = request("/password", json!("0123456789abcdef")).unwrap();
        assert!(!format!("{request:?}").contains("0123456789abcdef"));
    }
}
