//! The list of all stations in a circle, as Redis keeps it: for five minutes, and for a day in case that the mirror will
//! be gone when somebody asks again.

use std::time::Duration;

use chrono::SubsecRound;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::{Failure, Timestamp};
use tracing::warn;

use super::{Candidate, Circle, Filters, Nearby, ranking};
use crate::geo::EARTH_RADIUS_KM;
use crate::model::StationStatus;
use crate::store::{last_list_key, list_key};

/// A circle holds at most this many stations; those beyond are the farthest.
const MOST: i64 = 2_000;
const LIFETIME: Duration = Duration::from_secs(300);
/// So many are kept for later, the nearest: 20 KB.
const MOST_OF_LAST: usize = 300;
const LAST_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Who is in a circle and passes the filters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    /// When it was looked up.
    pub(super) as_of: Timestamp,
    pub(super) candidates: Vec<Candidate>,
}

/// Where a list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Looked up now.
    Stores,
    /// Redis.
    Cache,
    /// Redis, which has kept what the stores do not tell any more.
    Last,
}

/// Everything in the circle.
pub(super) async fn find(
    stores: &Nearby,
    circle: Circle,
    filters: &Filters,
    now: Timestamp,
) -> Result<(List, Source), Failure> {
    let as_of = now.trunc_subsecs(3);
    if filters.status == Some(StationStatus::Removed) {
        return Ok((List { as_of, candidates: Vec::new() }, Source::Stores));
    }
    let key = list_key(&stores.cache, &fingerprint(circle, filters)).await;
    if let Some(key) = &key
        && let Some(list) = stores.cache.get::<List>(key).await
    {
        return Ok((list, Source::Cache));
    }
    let last_key = last_list_key(&fingerprint(coarse(circle), filters));
    let candidates = match look_up(stores, circle, filters).await {
        Ok(candidates) => candidates,
        Err(failure @ Failure::Unavailable(_)) => {
            let last = stores.cache.get::<List>(&last_key).await.ok_or(failure)?;
            warn!(as_of = %last.as_of, "the last list is told");
            return Ok((last, Source::Last));
        }
        Err(failure) => return Err(failure),
    };
    let list = List { as_of, candidates };
    if let Some(key) = &key {
        stores.cache.set(key, &list, LIFETIME).await;
        stores.cache.set(&last_key, &nearest(&list, circle), LAST_LIFETIME).await;
    }
    Ok((list, Source::Stores))
}

async fn look_up(stores: &Nearby, circle: Circle, filters: &Filters) -> Result<Vec<Candidate>, Failure> {
    let (mirrored, own) = tokio::try_join!(
        // Boxed: the driver's futures nest deeper than the compiler follows.
        Box::pin(stores.mirror.near(circle, filters, MOST)),
        stores.aurora.own_stations(circle, MOST),
    )?;
    Ok(ranking::merge(mirrored, &own, filters))
}

/// What of a list is kept for a day.
fn nearest(list: &List, circle: Circle) -> List {
    let mut candidates = list.candidates.clone();
    candidates.sort_by_key(|candidate| circle.center.distance(candidate.place));
    candidates.truncate(MOST_OF_LAST);
    List { as_of: list.as_of, candidates }
}

/// The circle that stands for all which are kept as one: whoever has moved a little still finds a last list, if one that
/// knows nothing of a tenth of the rim.
fn coarse(circle: Circle) -> Circle {
    let degrees = (circle.radius_km / EARTH_RADIUS_KM).to_degrees();
    // A power of two that is no more than a fifth of the radius: its multiples are exact, and 90 is one of them.
    let step = (degrees / 5.0).log2().floor().exp2();
    Circle { center: circle.center.rounded_to(step), ..circle }
}

/// Tells searches apart in a key, whatever their texts hold.
fn fingerprint(circle: Circle, filters: &Filters) -> String {
    let search = serde_json::json!([
        circle.center.north(),
        circle.center.east(),
        circle.radius_km,
        filters.connector_type,
        filters.min_power_kw,
        filters.status,
        filters.operator,
    ]);
    let digest = Sha256::digest(search.to_string());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use shared::StationId;

    use super::*;
    use crate::geo::{Distance, Point};

    #[test]
    fn who_moves_a_little_finds_the_list_of_before() {
        let key = |north: f64, radius_km: f64| {
            let center = Point::at(north, -97.7431).unwrap();
            fingerprint(coarse(Circle { center, radius_km }), &Filters::default())
        };
        assert_eq!(key(30.2672, 10.0), key(30.2689, 10.0));
        assert_ne!(key(30.2672, 10.0), key(30.2789, 10.0));
        assert_ne!(key(30.2672, 10.0), key(30.2672, 11.0));
        assert_ne!(key(30.2672, 0.2), key(30.2689, 0.2));
    }

    #[test]
    fn the_nearest_are_kept() {
        let circle = Circle { center: Point::at(48.2, 16.4).unwrap(), radius_km: 50.0 };
        let candidates: Vec<Candidate> = (0..400_i16)
            .rev()
            .map(|number| Candidate {
                id: StationId::new(),
                place: Point::at(48.2 + f64::from(number) / 1000.0, 16.4).unwrap(),
            })
            .collect();
        let kept = nearest(&List { as_of: Timestamp::UNIX_EPOCH, candidates: candidates.clone() }, circle);
        assert_eq!(kept.candidates.len(), MOST_OF_LAST);
        assert_eq!(kept.candidates.first(), candidates.last());
        assert!(!kept.candidates.contains(&candidates[0]));
    }

    proptest! {
        #[test]
        fn a_shared_list_is_of_a_circle_near_by(
            north in -89.0..=89.0_f64, east in -180.0..=180.0_f64, radius_km in 0.05..=100.0_f64,
        ) {
            let circle = Circle { center: Point::at(north, east).unwrap(), radius_km };
            let moved = circle.center.distance(coarse(circle).center);
            prop_assert!(moved <= Distance::from_km(radius_km * 0.15), "{} km", moved.km());
        }
    }
}
