//! What a search may ask for; each argument parsed into a type that holds nothing else.

use serde::Deserialize;
use shared::{Cursor, First};

use crate::geo::{Latitude, Longitude, Point};
use crate::model::StationStatus;

/// The arguments of `nearbyStations`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    pub(crate) latitude: Latitude,
    pub(crate) longitude: Longitude,
    pub(crate) radius_km: Option<RadiusKm>,
    pub(crate) connector_type: Option<Title>,
    #[serde(rename = "minPowerKW")]
    pub(crate) min_power_kw: Option<MinPowerKw>,
    pub(crate) status: Option<StationStatus>,
    pub(crate) operator: Option<Title>,
    pub(crate) first: Option<First>,
    /// Where the page before ended.
    pub(crate) after: Option<Cursor>,
}

/// A place and what surrounds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    /// Its middle.
    pub center: Point,
    /// Along the great circle.
    pub radius_km: f64,
}

/// What a station must be; empty lets all pass but removed ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filters {
    /// A title in lower case.
    pub connector_type: Option<String>,
    /// Of the same connector as the type.
    pub min_power_kw: Option<f64>,
    /// Of the station.
    pub status: Option<StationStatus>,
    /// A title in lower case.
    pub operator: Option<String>,
}

impl Search {
    pub(crate) fn circle(&self) -> Circle {
        Circle {
            center: Point { latitude: self.latitude, longitude: self.longitude },
            radius_km: self.radius_km.map_or(10.0, |radius| radius.0),
        }
    }

    pub(crate) fn filters(&self) -> Filters {
        Filters {
            connector_type: self.connector_type.as_ref().map(|title| title.0.clone()),
            min_power_kw: self.min_power_kw.map(|power| power.0),
            status: self.status,
            operator: self.operator.as_ref().map(|title| title.0.clone()),
        }
    }

    pub(crate) fn first(&self) -> First {
        self.first.unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct RadiusKm(f64);

impl TryFrom<f64> for RadiusKm {
    type Error = &'static str;

    fn try_from(km: f64) -> Result<Self, Self::Error> {
        (km > 0.0 && km <= 100.0).then_some(Self(km)).ok_or("must be above 0 and at most 100")
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct MinPowerKw(f64);

impl TryFrom<f64> for MinPowerKw {
    type Error = &'static str;

    fn try_from(kw: f64) -> Result<Self, Self::Error> {
        (0.0..=10_000.0).contains(&kw).then_some(Self(kw)).ok_or("must be between 0 and 10000")
    }
}

/// A title as searches compare it: trimmed, in lower case.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Title(String);

impl TryFrom<String> for Title {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let title = text.trim();
        if title.is_empty() || title.chars().count() > 100 {
            return Err("must have 1 to 100 characters");
        }
        Ok(Self(title.to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn refused(arguments: &Value) -> bool {
        let mut all = json!({ "latitude": 48.2, "longitude": 16.4 });
        all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        serde_json::from_value::<Search>(all).is_err()
    }

    #[test]
    fn arguments_out_of_range_are_refused() {
        for bad in [
            json!({ "latitude": 91 }),
            json!({ "longitude": -181 }),
            json!({ "radiusKm": 0 }),
            json!({ "radiusKm": 100.1 }),
            json!({ "minPowerKW": -1 }),
            json!({ "operator": "  " }),
            json!({ "connectorType": "x".repeat(101) }),
            json!({ "status": "FINE" }),
            json!({ "first": 0 }),
        ] {
            assert!(refused(&bad), "{bad}");
        }
    }

    #[test]
    fn absent_and_null_arguments_have_their_defaults() {
        assert!(!refused(&json!({ "radiusKm": null, "first": null, "after": null, "operator": null })));
        let search: Search = serde_json::from_value(json!({ "latitude": 48, "longitude": 16 })).unwrap();
        assert_eq!((search.circle().radius_km, search.first().get()), (10.0, 20));
        assert_eq!(search.filters(), Filters::default());
    }

    #[test]
    fn titles_are_compared_trimmed_and_in_lower_case() {
        let search = json!({ "latitude": 0, "longitude": 0, "connectorType": " CCS (Type 2)" });
        let search: Search = serde_json::from_value(search).unwrap();
        assert_eq!(search.filters().connector_type.as_deref(), Some("ccs (type 2)"));
    }
}
