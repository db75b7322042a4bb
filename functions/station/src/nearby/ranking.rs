//! The rules of a search: who passes the filters, who is nearer.

use std::collections::HashMap;

use serde::Deserialize;
use shared::StationId;

use super::{Candidate, Circle, Filters};
use crate::geo::{Distance, Point};
use crate::model::StationStatus;

/// A station that Aurora alone can judge: one of our own, or a mirrored one whose connectors we control.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OwnStation {
    id: StationId,
    latitude: f64,
    longitude: f64,
    status: StationStatus,
    operator: Option<String>,
    connectors: Vec<OwnConnector>,
}

#[derive(Debug, Clone, Deserialize)]
struct OwnConnector {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "powerKW")]
    power_kw: Option<f64>,
}

impl OwnStation {
    fn passes(&self, filters: &Filters) -> bool {
        let status =
            filters.status.map_or(self.status != StationStatus::Removed, |status| self.status == status);
        let same = |title: &str, wanted: &str| title.trim().to_lowercase() == wanted;
        let operator = filters
            .operator
            .as_deref()
            .is_none_or(|wanted| self.operator.as_deref().is_some_and(|title| same(title, wanted)));
        let any_connector = filters.connector_type.is_none() && filters.min_power_kw.is_none();
        status
            && operator
            && (any_connector
                || self.connectors.iter().any(|connector| {
                    let kind =
                        filters.connector_type.as_deref().is_none_or(|wanted| same(&connector.kind, wanted));
                    let power = filters
                        .min_power_kw
                        .is_none_or(|least| connector.power_kw.is_some_and(|power| power >= least));
                    kind && power
                }))
    }
}

/// The mirror's finds, corrected by what Aurora knows better: each station once.
pub(super) fn merge(mirrored: Vec<Candidate>, own: &[OwnStation], filters: &Filters) -> Vec<Candidate> {
    let own_by_id: HashMap<_, _> = own.iter().map(|station| (station.id, station)).collect();
    let mut candidates: Vec<_> =
        mirrored.into_iter().filter(|candidate| !own_by_id.contains_key(&candidate.id)).collect();
    candidates.extend(own.iter().filter(|station| station.passes(filters)).filter_map(|station| {
        Some(Candidate { id: station.id, place: Point::at(station.latitude, station.longitude)? })
    }));
    candidates
}

/// Those in the circle, nearest first; equally near ones by id, so that the order is the same on every page.
pub(crate) fn rank(candidates: &[Candidate], circle: Circle) -> Vec<(Distance, StationId)> {
    let radius = Distance::from_km(circle.radius_km);
    let mut ranked: Vec<_> = candidates
        .iter()
        .map(|candidate| (circle.center.distance(candidate.place), candidate.id))
        .filter(|(distance, _)| *distance <= radius)
        .collect();
    ranked.sort_unstable();
    ranked
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn own(id: StationId, status: &str) -> OwnStation {
        serde_json::from_value(json!({
            "id": id, "latitude": 48.2, "longitude": 16.4, "status": status, "operator": "Own Net ",
            "connectors": [
                { "type": "CCS (Type 2)", "powerKW": 50.0 },
                { "type": "Type 2 (Socket Only)", "powerKW": 22.0 },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn type_and_power_must_be_one_connectors() {
        let station = own(StationId::new(), "OPERATIONAL");
        let filters = |kind: &str, power| Filters {
            connector_type: Some(kind.into()),
            min_power_kw: Some(power),
            ..Filters::default()
        };
        assert!(station.passes(&filters("ccs (type 2)", 50.0)));
        assert!(!station.passes(&filters("type 2 (socket only)", 50.0)));
        assert!(station.passes(&Filters { operator: Some("own net".into()), ..Filters::default() }));
    }

    #[test]
    fn a_removed_station_is_not_found_and_a_controlled_one_is_judged_by_aurora() {
        let [controlled, removed, mirrored] = [StationId::new(), StationId::new(), StationId::new()];
        let place = Point::at(48.2, 16.4).unwrap();
        let finds = [controlled, removed, mirrored].map(|id| Candidate { id, place }).to_vec();
        let aurora = [own(controlled, "OPERATIONAL"), own(removed, "REMOVED")];
        let all = merge(finds.clone(), &aurora, &Filters::default());
        assert_eq!(all.iter().map(|candidate| candidate.id).collect::<Vec<_>>(), [mirrored, controlled]);
        let chademo = Filters { connector_type: Some("chademo".into()), ..Filters::default() };
        assert_eq!(merge(finds, &aurora, &chademo).len(), 1);
    }

    #[test]
    fn equally_near_stations_keep_one_order() {
        let center = Point::at(48.2, 16.4).unwrap();
        let far = Candidate { id: StationId::new(), place: Point::at(48.3, 16.4).unwrap() };
        let twins = [StationId::new(), StationId::new()];
        let mut list = vec![far];
        list.extend(
            twins.iter().rev().map(|id| Candidate { id: *id, place: Point::at(48.21, 16.4).unwrap() }),
        );
        let ranked = rank(&list, Circle { center, radius_km: 5.0 });
        assert_eq!(ranked.iter().map(|(_, id)| *id).collect::<Vec<_>>(), twins);
    }
}
