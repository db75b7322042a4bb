//! Stations as the app sees them: the GraphQL types of `graphql/station.graphql`.

use serde::{Deserialize, Serialize};
use shared::{PowerKw, StationId, Timestamp};
use uuid::Uuid;

/// `Station`: a place to charge at, mirrored from OpenChargeMap or our own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Station {
    /// Ours; the same in the mirror and in Aurora.
    pub id: StationId,
    /// OpenChargeMap's; none for a station of our own.
    pub ocm_id: Option<i32>,
    /// Its title.
    pub name: String,
    /// One line: street, town, state, country.
    pub address: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// The ones we control and those that vendors report of, or else the mirrored ones.
    pub connectors: Vec<Connector>,
    /// Of the station as a whole.
    pub status: StationStatus,
    /// In the operator's words; nothing is billed by it.
    pub usage_cost: Option<String>,
    /// The charging network's title.
    pub operator: Option<String>,
    /// Who may charge here.
    pub usage_type: Option<String>,
    /// How many cars can charge at once, as far as known.
    pub number_of_points: Option<i32>,
    /// Whether `startSession` works here.
    pub controlled: bool,
    /// When OpenChargeMap last verified it.
    pub last_verified: Option<Timestamp>,
    /// When anything shown here last changed.
    pub updated_at: Timestamp,
    /// Whom to name beside the data.
    pub attribution: Option<String>,
}

/// `Connector`: one we control or a vendor reports of, or a group of like ones in the mirror.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connector {
    /// Its own, or the mirrored group's.
    pub id: Uuid,
    /// At its charger or station; none for a mirrored group.
    pub connector_number: Option<String>,
    /// As in OpenChargeMap's titles: `CCS (Type 2)`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The most it gives.
    #[serde(rename = "powerKW")]
    pub power_kw: Option<PowerKw>,
    /// How many of the kind.
    pub quantity: i32,
    /// Live, or `UNKNOWN` for a mirrored group.
    pub status: ConnectorStatus,
    /// When the status was reported.
    pub updated_at: Option<Timestamp>,
}

/// Whether a station works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StationStatus {
    /// All of it works.
    Operational,
    /// Some of it works.
    PartlyOperational,
    /// Expected to work again.
    TemporarilyUnavailable,
    /// Does not work.
    NotOperational,
    /// Not built yet.
    Planned,
    /// Gone, or taken off OpenChargeMap's list: never found by a search.
    Removed,
    /// Nobody told.
    Unknown,
}

/// What a connector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectorStatus {
    /// Free.
    Available,
    /// A car is plugged in, nothing flows yet.
    Preparing,
    /// Energy flows.
    Charging,
    /// A transaction without energy, by the car's or the charger's wish.
    Suspended,
    /// The transaction is over, the car still plugged in.
    Finishing,
    /// Kept for somebody.
    Reserved,
    /// Out of order by plan.
    Unavailable,
    /// Out of order by fault.
    Faulted,
    /// Nobody told.
    Unknown,
}
