//! `registerVendorConnectors`: which connectors of a station a vendor reports of.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{Caller, ConnectorId, Failure, Outbox, Role, StationId, VendorId};
use tracing::info;

use crate::{VendorConnectorId, store};

/// So many in one call; a row of the Data API holds what is told of them.
const MOST_CONNECTORS: usize = 100;

/// The arguments of `Mutation.registerVendorConnectors`.
#[derive(Debug, Deserialize)]
pub struct RegisterVendorConnectors {
    input: RegisterInput,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegisterInput {
    vendor_id: VendorId,
    station_id: StationId,
    connectors: Vec<VendorConnector>,
}

/// One connector, also as the database function takes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VendorConnector {
    #[serde(skip_deserializing, default = "ConnectorId::new")]
    id: ConnectorId,
    vendor_connector_id: VendorConnectorId,
    number: Number,
    r#type: ConnectorType,
    #[serde(rename = "powerKW")]
    power: Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64")]
struct Number(u16);

#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "String")]
struct ConnectorType(String);

/// In kW.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "f64")]
struct Power(f64);

/// Sets up those that are not yet, and gives all, in their order. Nothing is set up when one of them cannot be.
pub async fn register_connectors(
    outbox: &Outbox,
    caller: &Caller,
    RegisterVendorConnectors { input }: RegisterVendorConnectors,
) -> Result<Vec<Value>, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let RegisterInput { vendor_id, station_id, connectors } = input;
    let ids: HashSet<_> = connectors.iter().map(|connector| &connector.vendor_connector_id).collect();
    let numbers: HashSet<_> = connectors.iter().map(|connector| connector.number).collect();
    let count = connectors.len();
    if !(1..=MOST_CONNECTORS).contains(&count) || ids.len() < count || numbers.len() < count {
        let message = "must be 1 to 100, each with its own vendorConnectorId and number";
        return Err(Failure::invalid("input.connectors", message));
    }
    let connectors = serde_json::to_value(&connectors).map_err(Failure::fault)?;
    let added =
        store::register_connectors(outbox, vendor_id, station_id, connectors.clone(), operator, caller)
            .await?;
    info!(vendor = %vendor_id, added, "connectors registered");
    Ok(store::connectors(outbox.database(), vendor_id, connectors).await?)
}

impl TryFrom<i64> for Number {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        u16::try_from(number)
            .ok()
            .filter(|number| (1..=9999).contains(number))
            .map(Self)
            .ok_or("must be 1 to 9999")
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

impl TryFrom<f64> for Power {
    type Error = &'static str;

    fn try_from(kilowatts: f64) -> Result<Self, Self::Error> {
        let fits = kilowatts > 0.0 && kilowatts <= 2000.0;
        fits.then_some(Self(kilowatts)).ok_or("must be above 0, up to 2000")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_is_bounded() {
        let request = |field: &str, value: Value| {
            let mut connector =
                json!({ "vendorConnectorId": "v-1", "number": 1, "type": "CCS (Type 2)", "powerKW": 150 });
            connector[field] = value;
            serde_json::from_value::<VendorConnector>(connector)
        };
        assert!(request("number", json!(9999)).is_ok());
        for (field, value) in [
            ("vendorConnectorId", json!("")),
            ("vendorConnectorId", json!("x".repeat(65))),
            ("number", json!(0)),
            ("number", json!(10_000)),
            ("type", json!(" ")),
            ("type", json!("x".repeat(81))),
            ("powerKW", json!(0)),
            ("powerKW", json!(2000.5)),
        ] {
            assert!(request(field, value.clone()).is_err(), "{field} {value}");
        }
    }
}
