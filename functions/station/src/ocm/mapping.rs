//! What we make of one OpenChargeMap POI. Real POIs hold nearly everything somewhere: nulls, empty lists, untrimmed
//! titles, zero coordinates; so every field is read leniently, and only a POI that cannot be a station is refused.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use chrono::{DateTime, Datelike, NaiveDateTime};
use serde::Serialize;
use serde_json::Value;
use shared::Timestamp;
use uuid::Uuid;

use crate::geo::Point;
use crate::model::StationStatus;

/// Longest text kept in a column; titles are at most 100 characters, costs 200.
const LONGEST: usize = 500;
/// The most powerful chargers give 4 MW; anything above is a slip of the keyboard.
const MOST_KW: f64 = 5_000.0;
/// So that a mirrored connection keeps its id from one synchronisation to the next.
const CONNECTIONS: Uuid = Uuid::from_u128(0x2b7e_1f0c_93a4_4c5d_8f61_0d5a_7c3e_9b42);

/// Why a POI cannot be a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unmappable {
    /// No `ID`, or one that is no 32-bit integer.
    #[error("it has no ID")]
    NoId,
    /// No coordinates, or such as are not on the globe.
    #[error("it has no place on the globe")]
    NoPlace,
    /// Neither title nor address.
    #[error("it has no name")]
    NoName,
}

/// A POI as Aurora's `stations` and `connections` hold it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MirroredStation {
    /// OpenChargeMap's `ID`.
    pub ocm_id: i32,
    /// Its title.
    pub name: String,
    /// Street and number.
    pub address_line: String,
    /// Town.
    pub town: String,
    /// State or province.
    pub state: String,
    /// ISO 3166-1 alpha-2, or empty.
    pub country: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// `REMOVED` when delisted, whatever its own status.
    pub status: StationStatus,
    /// The charging network's title.
    pub operator: Option<String>,
    /// The usage type's title.
    pub usage_type: Option<String>,
    /// In the operator's words.
    pub usage_cost: Option<String>,
    /// As told, or else the sum of the quantities.
    pub number_of_points: Option<i32>,
    /// The data provider and its licence.
    pub attribution: String,
    /// `DateLastVerified`.
    pub last_verified: Option<Timestamp>,
    /// In the POI's order.
    pub connections: Vec<MirroredConnection>,
}

/// A group of like connectors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MirroredConnection {
    /// The same after each synchronisation.
    pub id: Uuid,
    /// The connection type's title, `Unknown` when nobody told.
    #[serde(rename = "type")]
    pub kind: String,
    /// 1, 2 or 3.
    pub level: Option<i32>,
    /// Kilowatts, above zero.
    pub power_kw: Option<f64>,
    /// At least 1.
    pub quantity: i32,
}

impl MirroredStation {
    /// The station that a POI in the API's verbose form tells of.
    pub fn from_poi(poi: &Value) -> Result<Self, Unmappable> {
        let ocm_id = integer(&poi["ID"]).filter(|id| *id > 0).ok_or(Unmappable::NoId)?;
        let address = &poi["AddressInfo"];
        let (latitude, longitude) =
            address["Latitude"].as_f64().zip(address["Longitude"].as_f64()).ok_or(Unmappable::NoPlace)?;
        Point::at(latitude, longitude).ok_or(Unmappable::NoPlace)?;
        let [title, line, second_line, town] =
            ["Title", "AddressLine1", "AddressLine2", "Town"].map(|field| text(&address[field]));
        let line = line.or(second_line);
        let connections = connections(ocm_id, &poi["Connections"]);
        let points: i32 = connections.iter().map(|connection| connection.quantity).sum();
        Ok(Self {
            ocm_id,
            name: title.or_else(|| line.clone()).or_else(|| town.clone()).ok_or(Unmappable::NoName)?,
            address_line: line.unwrap_or_default(),
            town: town.unwrap_or_default(),
            state: text(&address["StateOrProvince"]).unwrap_or_default(),
            country: text(&address["Country"]["ISOCode"]).filter(|code| code.len() == 2).unwrap_or_default(),
            latitude,
            longitude,
            status: status(poi),
            operator: text(&poi["OperatorInfo"]["Title"]),
            usage_type: text(&poi["UsageType"]["Title"]),
            usage_cost: text(&poi["UsageCost"]),
            number_of_points: integer(&poi["NumberOfPoints"])
                .filter(|points| *points > 0)
                .or((points > 0).then_some(points)),
            attribution: attribution(&poi["DataProvider"]),
            last_verified: moment(&poi["DateLastVerified"]),
            connections,
        })
    }

    /// Where it can be found; none for the zero coordinates of a POI that nobody placed.
    pub fn place(&self) -> Option<Point> {
        let placed = self.latitude != 0.0 || self.longitude != 0.0;
        placed.then(|| Point::at(self.latitude, self.longitude)).flatten()
    }
}

fn connections(ocm_id: i32, list: &Value) -> Vec<MirroredConnection> {
    let mut seen = HashSet::new();
    let connections = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let connections = connections.iter().filter(|connection| connection.is_object());
    connections
        .enumerate()
        .map(|(position, connection)| {
            let id = connection["ID"].as_i64().filter(|id| seen.insert(*id));
            let name = id.map_or_else(|| format!("{ocm_id}/#{position}"), |id| format!("{ocm_id}/{id}"));
            MirroredConnection {
                id: Uuid::new_v5(&CONNECTIONS, name.as_bytes()),
                kind: text(&connection["ConnectionType"]["Title"]).unwrap_or_else(|| "Unknown".to_owned()),
                level: integer(&connection["LevelID"]),
                power_kw: connection["PowerKW"].as_f64().filter(|kw| *kw > 0.0 && *kw <= MOST_KW),
                quantity: integer(&connection["Quantity"]).filter(|n| (1..=10_000).contains(n)).unwrap_or(1),
            }
        })
        .collect()
}

/// OpenChargeMap's status types, by ID; one that is new to us says itself whether it is operational.
fn status(poi: &Value) -> StationStatus {
    let submission = poi["SubmissionStatusTypeID"].as_i64();
    let live = poi["SubmissionStatus"]["IsLive"].as_bool();
    if !live.unwrap_or(matches!(submission, None | Some(100 | 200))) {
        return StationStatus::Removed;
    }
    match poi["StatusTypeID"].as_i64() {
        None | Some(0) => StationStatus::Unknown,
        Some(10 | 20 | 50) => StationStatus::Operational,
        Some(30) => StationStatus::TemporarilyUnavailable,
        Some(75) => StationStatus::PartlyOperational,
        Some(100) => StationStatus::NotOperational,
        Some(150) => StationStatus::Planned,
        Some(200 | 210) => StationStatus::Removed,
        Some(_) => match poi["StatusType"]["IsOperational"].as_bool() {
            Some(true) => StationStatus::Operational,
            Some(false) => StationStatus::NotOperational,
            None => StationStatus::Unknown,
        },
    }
}

/// Every licence in the data asks for its provider's name.
fn attribution(provider: &Value) -> String {
    let source = "via Open Charge Map (https://openchargemap.org)";
    match (text(&provider["Title"]), text(&provider["License"])) {
        (Some(title), Some(license)) => format!("{title}, {source}. {license}"),
        (Some(title), None) => format!("{title}, {source}"),
        (None, _) => format!("Data {source}"),
    }
}

/// Trimmed and bounded; none when nothing is left. PostgreSQL takes no NUL.
pub(crate) fn text(value: &Value) -> Option<String> {
    let text: String = value.as_str()?.chars().filter(|c| *c != '\0').collect();
    let text: String = text.trim().chars().take(LONGEST).collect();
    (!text.is_empty()).then_some(text)
}

fn integer(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| number.try_into().ok())
}

/// With or without a time zone (then UTC); none for what is no date or lies outside of two centuries.
pub(crate) fn moment(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?.trim();
    let zoned = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    let moment = zoned.or_else(|_| text.parse::<NaiveDateTime>().map(|moment| moment.and_utc())).ok()?;
    (1990..=2190).contains(&moment.year()).then_some(moment)
}
