//! Energy and power, exact, each with its unit in its name.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Energy in watt-hours: what meters count in (OCPP `Energy.Active.Import.Register`). A string on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnergyWh(pub Decimal);

/// Energy in kilowatt-hours: what drivers are told and billed. A JSON number on the wire; its at most four
/// decimals survive a double.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnergyKwh(#[serde(with = "rust_decimal::serde::float")] pub Decimal);

/// Power in kilowatts.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PowerKw(pub f64);

impl From<EnergyWh> for EnergyKwh {
    fn from(energy: EnergyWh) -> Self {
        Self((energy.0 / Decimal::ONE_THOUSAND).normalize())
    }
}

impl fmt::Display for EnergyKwh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kWh", self.0)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_kilowatt_hour_is_a_json_number_that_keeps_every_watt_hour() {
        let energy = EnergyKwh::from(EnergyWh(22_401.into()));
        assert_eq!(serde_json::to_string(&energy).unwrap(), "22.401");
        assert_eq!(serde_json::from_str::<EnergyKwh>("22.401").unwrap(), energy);
    }
}
