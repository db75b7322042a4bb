//! The lines of a bill.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use shared::Money;

/// One line of an invoice or an estimate; GraphQL `InvoiceLine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// For people.
    pub description: String,
    /// How many of `unit`, rounded to four decimals (more if the session's energy has more).
    pub quantity: Decimal,
    /// What is counted.
    pub unit: Unit,
    /// For one of them, with VAT.
    pub unit_price: Decimal,
    /// With VAT, in coins of the currency.
    pub amount: Money,
}

/// What a line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Kilowatt-hours.
    #[serde(rename = "kWh")]
    Kwh,
    /// Minutes.
    #[serde(rename = "min")]
    Minute,
    /// The whole session.
    #[serde(rename = "session")]
    Session,
    /// Calendar months.
    #[serde(rename = "month")]
    Month,
}

impl Unit {
    /// As on invoices.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kwh => "kWh",
            Self::Minute => "min",
            Self::Session => "session",
            Self::Month => "month",
        }
    }
}

/// A line that is not rounded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) description: String,
    pub(crate) quantity: Decimal,
    pub(crate) unit: Unit,
    /// None: the amount.
    pub(crate) unit_price: Option<Decimal>,
    /// Not negative.
    pub(crate) amount: Decimal,
}
