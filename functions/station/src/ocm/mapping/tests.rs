//! What real POIs, and POIs made wrong on purpose, become.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};

use ::tests::ocm_server::real_pois;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn poi(changes: Value) -> Value {
    let mut poi = json!({
        "ID": 7,
        "SubmissionStatusTypeID": 200,
        "StatusTypeID": 50,
        "AddressInfo": { "Title": " Marktplatz ", "Town": "Wien", "Latitude": 48.2, "Longitude": 16.4,
                         "Country": { "ISOCode": "AT" } },
        "Connections": [{ "ID": 1, "ConnectionType": { "Title": "CCS (Type 2)" }, "PowerKW": 50, "Quantity": 2 }],
    });
    merge(&mut poi, changes);
    poi
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(into.entry(name).or_insert(Value::Null), change);
            }
        }
        (into, change) => *into = change,
    }
}

fn map(changes: Value) -> Result<MirroredStation, Unmappable> {
    MirroredStation::from_poi(&poi(changes))
}

#[test]
fn every_real_poi_is_a_station() {
    let pois = real_pois().unwrap();
    let stations: Vec<_> = pois.iter().map(|poi| MirroredStation::from_poi(poi).unwrap()).collect();
    assert_eq!(stations.len(), 3834 + 684);
    let mut statuses = BTreeMap::new();
    for station in &stations[..3834] {
        *statuses.entry(format!("{:?}", station.status)).or_insert(0) += 1;
    }
    assert_eq!(statuses["Removed"], 93 + 92 + 27 + 25 + 2);
    assert_eq!(stations.iter().filter(|station| station.place().is_none()).count(), 12);
    assert!(stations.iter().all(|station| station.name == station.name.trim() && !station.name.is_empty()));
    assert!(stations.iter().all(|station| station.attribution.contains(". ")), "each names its licence");
    assert!(stations.iter().all(|station| station.country.len() == 2));
    assert!(stations.iter().all(|station| station.last_verified.is_some()));
    let of_2020 = stations[..3834].iter().flat_map(|station| &station.connections);
    let ids: HashSet<_> = of_2020.clone().map(|connection| connection.id).collect();
    assert_eq!((ids.len(), of_2020.count()), (5822, 5822));
}

#[test]
fn a_poi_without_id_place_or_name_is_refused() {
    assert_eq!(map(json!({ "ID": null })), Err(Unmappable::NoId));
    assert_eq!(map(json!({ "ID": 3_000_000_000_u64 })), Err(Unmappable::NoId));
    assert_eq!(map(json!({ "AddressInfo": { "Latitude": null } })), Err(Unmappable::NoPlace));
    assert_eq!(map(json!({ "AddressInfo": { "Latitude": 91 } })), Err(Unmappable::NoPlace));
    assert_eq!(map(json!({ "AddressInfo": { "Longitude": "16.4" } })), Err(Unmappable::NoPlace));
    assert_eq!(map(json!({ "AddressInfo": null })), Err(Unmappable::NoPlace));
    assert_eq!(map(json!({ "AddressInfo": { "Title": " ", "Town": "" } })), Err(Unmappable::NoName));
    assert_eq!(map(json!({ "AddressInfo": { "Title": null } })).unwrap().name, "Wien");
}

#[test]
fn zero_coordinates_are_kept_but_found_nowhere() {
    let station = map(json!({ "AddressInfo": { "Latitude": 0, "Longitude": 0 } })).unwrap();
    assert_eq!(station.place(), None);
    assert!(map(json!({ "AddressInfo": { "Latitude": 0 } })).unwrap().place().is_some());
}

#[test]
fn nonsense_in_a_connection_becomes_unknown() {
    let connections = json!([
        { "ID": 1, "ConnectionType": null, "PowerKW": -3, "Quantity": null, "LevelID": "two" },
        { "ID": 1, "ConnectionType": { "Title": "Type 2 (Tethered Connector) " }, "PowerKW": 1e9, "Quantity": 0 },
        null,
        { "PowerKW": 0, "Quantity": -4 },
    ]);
    let station = map(json!({ "Connections": connections, "NumberOfPoints": 0 })).unwrap();
    let kinds: Vec<_> = station.connections.iter().map(|connection| connection.kind.as_str()).collect();
    assert_eq!(kinds, ["Unknown", "Type 2 (Tethered Connector)", "Unknown"]);
    assert!(station.connections.iter().all(|connection| connection.power_kw.is_none()));
    assert!(station.connections.iter().all(|connection| connection.quantity == 1));
    let ids: HashSet<_> = station.connections.iter().map(|connection| connection.id).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(station.number_of_points, Some(3));
}

#[test]
fn a_delisted_poi_is_removed_whatever_its_status() {
    assert_eq!(map(json!({})).unwrap().status, StationStatus::Operational);
    assert_eq!(map(json!({ "SubmissionStatusTypeID": 1002 })).unwrap().status, StationStatus::Removed);
    assert_eq!(map(json!({ "SubmissionStatusTypeID": null })).unwrap().status, StationStatus::Operational);
    assert_eq!(
        map(json!({ "SubmissionStatus": { "IsLive": false } })).unwrap().status,
        StationStatus::Removed
    );
    let new = json!({ "StatusTypeID": 999, "StatusType": { "IsOperational": false } });
    assert_eq!(map(new).unwrap().status, StationStatus::NotOperational);
}

#[test]
fn odd_dates_are_no_dates() {
    let verified = |date: &str| map(json!({ "DateLastVerified": date })).unwrap().last_verified;
    assert_eq!(verified("2012-11-26T14:24:00").unwrap().to_rfc3339(), "2012-11-26T14:24:00+00:00");
    assert_eq!(verified("2025-11-11T14:19:55.627Z").unwrap().timestamp_subsec_millis(), 627);
    for odd in ["", "yesterday", "0001-01-01T00:00:00Z", "2012-13-40T00:00:00Z", "9999-12-31T23:59:59Z"] {
        assert_eq!(verified(odd), None, "{odd}");
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}\0?".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

proptest! {
    /// What PostgreSQL's constraints and `jsonb` demand holds for whatever stands in a POI.
    #[test]
    fn no_content_makes_a_station_that_aurora_refuses(
        field in prop::sample::select(vec!["ID", "UsageCost", "NumberOfPoints", "StatusTypeID", "Connections",
            "DataProvider", "OperatorInfo", "DateLastVerified", "SubmissionStatusTypeID", "AddressInfo"]),
        inner in prop::sample::select(vec!["Title", "Town", "Latitude", "Longitude", "Country"]),
        value in anything(),
    ) {
        let deep = json!({ "AddressInfo": { inner: value.clone() } });
        for changes in [json!({ field: value }), deep] {
            if let Ok(station) = map(changes) {
                prop_assert!(Point::at(station.latitude, station.longitude).is_some());
                prop_assert!(!station.name.is_empty());
                prop_assert!(!serde_json::to_string(&station).unwrap().contains("\\u0000"));
                for connection in &station.connections {
                    prop_assert!(connection.quantity > 0 && connection.power_kw.is_none_or(|kw| kw > 0.0));
                }
            }
        }
    }
}
