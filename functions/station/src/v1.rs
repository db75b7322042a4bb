//! Stations as `/v1` tells them: fewer fields than GraphQL's, and its own words for what a connector is doing.

use rest::{Number, Reply};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use shared::{Cursor, Failure, First, PowerKw, StationId, Timestamp};
use uuid::Uuid;

use crate::detail::{self, Details};
use crate::geo::{Latitude, Longitude};
use crate::model::{ConnectorStatus, StationStatus};
use crate::nearby::{self, MinPowerKw, Nearby, RadiusKm, Search, Title};

/// The fields of `GET /v1/stations/{id}`.
#[derive(Debug, Clone, Deserialize)]
pub struct GetStation {
    #[serde(deserialize_with = "rest::parsed")]
    id: StationId,
}

/// The fields of `GET /v1/stations`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListStations {
    latitude: Number<Latitude>,
    longitude: Number<Longitude>,
    radius_km: Option<Number<RadiusKm>>,
    connector_type: Option<Title>,
    min_power_kw: Option<Number<MinPowerKw>>,
    status: Option<StationStatus>,
    operator: Option<Title>,
    limit: Option<Number<First>>,
    cursor: Option<Cursor>,
}

/// A station. Read from its GraphQL form, of which it keeps these fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Station {
    id: StationId,
    name: String,
    latitude: f64,
    longitude: f64,
    connectors: Vec<Connector>,
}

/// A connector, read from its GraphQL form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connector {
    id: Uuid,
    connector_number: Option<String>,
    #[serde(rename(deserialize = "type"))]
    connector_type: String,
    #[serde(rename(deserialize = "powerKW"))]
    power_kw: Option<PowerKw>,
    #[serde(serialize_with = "in_words_of_v1")]
    status: ConnectorStatus,
    updated_at: Option<Timestamp>,
}

/// What a connector is doing, in the words of `/v1` and the live feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectorState {
    /// Free.
    Available,
    /// A car is plugged in.
    Occupied,
    /// Kept for somebody.
    Reserved,
    /// Out of order by plan.
    Maintenance,
    /// Nobody tells.
    Offline,
    /// Out of order by fault.
    Faulted,
}

/// A page of stations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StationList {
    /// Nearest first.
    stations: Vec<ListedStation>,
    /// Pass it as `cursor` for the next page; none on the last.
    next_cursor: Option<Cursor>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedStation {
    #[serde(flatten)]
    station: Station,
    distance_km: f64,
}

impl From<ConnectorStatus> for ConnectorState {
    fn from(status: ConnectorStatus) -> Self {
        match status {
            ConnectorStatus::Available => Self::Available,
            ConnectorStatus::Preparing
            | ConnectorStatus::Charging
            | ConnectorStatus::Suspended
            | ConnectorStatus::Finishing => Self::Occupied,
            ConnectorStatus::Reserved => Self::Reserved,
            ConnectorStatus::Unavailable => Self::Maintenance,
            ConnectorStatus::Unknown => Self::Offline,
            ConnectorStatus::Faulted => Self::Faulted,
        }
    }
}

impl From<ListStations> for Search {
    fn from(fields: ListStations) -> Self {
        Self {
            latitude: fields.latitude.0,
            longitude: fields.longitude.0,
            radius_km: fields.radius_km.map(|Number(radius)| radius),
            connector_type: fields.connector_type,
            min_power_kw: fields.min_power_kw.map(|Number(power)| power),
            status: fields.status,
            operator: fields.operator,
            first: fields.limit.map(|Number(first)| first),
            after: fields.cursor,
        }
    }
}

/// The station asked for.
pub async fn get(details: &Details, fields: GetStation) -> Result<Station, Failure> {
    station(&detail::one(details, fields.id).await?)
}

/// The page of stations asked for at `now`; with its `Age` in seconds if the mirror does not answer.
pub async fn list(
    stores: &Nearby,
    fields: ListStations,
    now: Timestamp,
) -> Result<Reply<StationList>, Failure> {
    let page = nearby::nearby(stores, fields.into(), now).await.map_err(name_the_cursor)?;
    let stations = page
        .edges
        .iter()
        .map(|edge| Ok(ListedStation { station: station(&edge.node)?, distance_km: edge.distance_km }));
    let next_cursor = page.page_info.end_cursor.filter(|_| page.page_info.has_next_page);
    let reply = Reply::of(StationList { stations: stations.collect::<Result<_, Failure>>()?, next_cursor });
    if page.is_stale {
        let seconds = u64::try_from((now - page.as_of).num_seconds()).unwrap_or_default();
        return Ok(reply.with(rest::AGE, seconds));
    }
    Ok(reply)
}

/// Of a GraphQL `Station`.
fn station(raw: &RawValue) -> Result<Station, Failure> {
    serde_json::from_str(raw.get()).map_err(Failure::fault)
}

/// GraphQL's name for it is another.
fn name_the_cursor(failure: Failure) -> Failure {
    match failure {
        Failure::Invalid { field, message } if field == "after" => Failure::invalid("cursor", message),
        failure => failure,
    }
}

fn in_words_of_v1<S: Serializer>(status: &ConnectorStatus, serializer: S) -> Result<S::Ok, S::Error> {
    ConnectorState::from(*status).serialize(serializer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn sample(name: &str) -> rest::Request {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn every_sample_is_understood() {
        let get: GetStation = sample("rest-get-station").fields().unwrap();
        assert_eq!(get.id.to_string(), "48f8fb15-814d-4e9d-97e1-d2caea2a162f");
        let list: ListStations = sample("rest-list-stations").fields().unwrap();
        let search = Search::from(list);
        assert_eq!((search.circle().radius_km, search.first().get()), (5.0, 10));
        assert_eq!(search.filters().connector_type.as_deref(), Some("type 1 (j1772)"));
    }

    #[test]
    fn a_station_has_the_fields_of_the_contract_and_no_others() {
        let id = Uuid::new_v4();
        let graphql = json!({
            "id": id, "ocmId": 7, "name": "Hof", "address": "Hof 1", "latitude": 48.2, "longitude": 16.4,
            "connectors": [{
                "id": id, "connectorNumber": "1", "type": "CCS (Type 2)", "powerKW": 150.0, "quantity": 1,
                "status": "SUSPENDED", "updatedAt": "2026-02-21T14:05:00Z",
            }],
            "status": "OPERATIONAL", "controlled": true, "updatedAt": "2026-02-21T14:05:00Z",
        });
        let read = station(&serde_json::value::to_raw_value(&graphql).unwrap()).unwrap();
        assert_eq!(
            serde_json::to_value(read).unwrap(),
            json!({
                "id": id, "name": "Hof", "latitude": 48.2, "longitude": 16.4,
                "connectors": [{
                    "id": id, "connectorNumber": "1", "connectorType": "CCS (Type 2)", "powerKw": 150.0,
                    "status": "OCCUPIED", "updatedAt": "2026-02-21T14:05:00Z",
                }],
            })
        );
    }

    #[test]
    fn every_status_has_its_word() {
        for (status, word) in [
            ("AVAILABLE", "AVAILABLE"),
            ("PREPARING", "OCCUPIED"),
            ("CHARGING", "OCCUPIED"),
            ("SUSPENDED", "OCCUPIED"),
            ("FINISHING", "OCCUPIED"),
            ("RESERVED", "RESERVED"),
            ("UNAVAILABLE", "MAINTENANCE"),
            ("UNKNOWN", "OFFLINE"),
            ("FAULTED", "FAULTED"),
        ] {
            let status: ConnectorStatus = serde_json::from_value(json!(status)).unwrap();
            assert_eq!(json!(ConnectorState::from(status)), json!(word));
        }
    }

    #[test]
    fn parameters_have_the_bounds_of_graphql() {
        let read = |more: Value| {
            let mut fields = json!({ "latitude": "30.2672", "longitude": "-97.7431" });
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value::<ListStations>(fields).is_ok()
        };
        assert!(read(json!({ "radiusKm": "100", "minPowerKw": "0", "limit": "100", "status": "PLANNED" })));
        for bad in [
            json!({ "latitude": "91" }),
            json!({ "longitude": "" }),
            json!({ "radiusKm": "0" }),
            json!({ "radiusKm": "1e3" }),
            json!({ "minPowerKw": "-1" }),
            json!({ "limit": "101" }),
            json!({ "limit": "1.5" }),
            json!({ "status": "AVAILABLE" }),
            json!({ "operator": " " }),
        ] {
            assert!(!read(bad.clone()), "{bad}");
        }
    }
}
