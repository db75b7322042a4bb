//! `nearbyStations`: who lies in a circle comes from the mirror and from our own stations, is ranked by distance here,
//! and is kept in Redis; how a station looks comes from where `getStation` takes it. With the mirror gone, the last list
//! of those parts is told, with its age.

mod list;
mod ranking;
mod search;

use std::collections::HashMap;
use std::time::Instant;

use mongodb::bson::Document;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::{Cache, Cursor, Failure, MissingSetting, PageInfo, StationId, Timestamp};
use tracing::info;

use crate::detail::Details;
use crate::geo::{Distance, Point};
use crate::store::aurora::Aurora;
use crate::store::mirror::{Mirror, query};

use list::Source;
pub(crate) use ranking::{OwnStation, rank};
pub use search::{Circle, Filters, Search};
pub(crate) use search::{MinPowerKw, RadiusKm, Title};

/// The cached list serves every point that rounds to the same: its circle is larger by more than rounding moves one.
const ROUNDING_KM: f64 = 0.02;

/// A station that may be near.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(StationId, f64, f64)", into = "(StationId, f64, f64)")]
pub(crate) struct Candidate {
    pub(crate) id: StationId,
    pub(crate) place: Point,
}

/// `StationConnection`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StationPage {
    /// Nearest first.
    pub edges: Vec<StationEdge>,
    /// What is beyond.
    pub page_info: PageInfo,
    /// When the stations were looked up.
    pub as_of: Timestamp,
    /// Whether it is so long ago because the mirror does not answer.
    #[serde(skip)]
    pub is_stale: bool,
}

/// `StationEdge`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StationEdge {
    /// Where `after` continues.
    pub cursor: Cursor,
    /// A `Station`.
    pub node: Box<RawValue>,
    /// From the point asked about.
    pub distance_km: f64,
}

/// What a search reads.
pub struct Nearby {
    details: Details,
    aurora: Aurora,
    mirror: Mirror,
    cache: Cache,
}

impl Nearby {
    /// From `MONGO_SECRET_ARN` and the settings of the database and Redis; connects at first use.
    pub async fn from_env() -> Result<Self, MissingSetting> {
        let config = shared::aws_config().await;
        Ok(Self {
            details: Details::new(&config)?,
            aurora: Aurora::from_env(&config)?,
            mirror: Mirror::from_env(&config)?,
            cache: Cache::from_env()?,
        })
    }
}

/// The page of stations that `search` asks for at `now`.
pub async fn nearby(stores: &Nearby, search: Search, now: Timestamp) -> Result<StationPage, Failure> {
    let started = Instant::now();
    let after = search.after.as_ref().map(Cursor::key::<(Distance, StationId)>).transpose()?;
    let circle = search.circle();

    let asked = Instant::now();
    let (list, source) = list::find(stores, around(circle), &search.filters(), now).await?;
    let mut stores_took = asked.elapsed();

    let ranked = rank(&list.candidates, circle);
    let begin = after.map_or(0, |after| ranked.partition_point(|key| *key <= after));
    let wanted = &ranked[begin..];
    let page = &wanted[..wanted.len().min(search.first().get())];
    let ids: Vec<StationId> = page.iter().map(|(_, id)| *id).collect();

    let asked = Instant::now();
    let stations = stores.details.many(&ids).await?;
    stores_took += asked.elapsed();

    let page_info = PageInfo {
        has_next_page: wanted.len() > page.len(),
        end_cursor: page.last().map(Cursor::of).transpose()?,
    };
    let edges = edges(page, stations)?;
    let own = started.elapsed().saturating_sub(stores_took);
    info!(
        own_ms = own.as_secs_f64() * 1e3,
        store_ms = stores_took.as_secs_f64() * 1e3,
        ?source,
        candidates = list.candidates.len(),
        edges = edges.len(),
        "searched"
    );
    Ok(StationPage { edges, page_info, as_of: list.as_of, is_stale: source == Source::Last })
}

/// The filter that a search without a cache asks the mirror's collection [`MIRROR_COLLECTION`](crate::MIRROR_COLLECTION) with: for `explain`, which tells
/// how many keys it examines.
pub fn mirror_filter(search: &Search) -> Document {
    query(around(search.circle()), &search.filters())
}

/// The circle whose stations are listed for all the points that round to one.
fn around(circle: Circle) -> Circle {
    Circle { center: circle.center.rounded(), radius_km: circle.radius_km + ROUNDING_KM }
}

/// A station that vanished since the list was made is left out.
fn edges(
    page: &[(Distance, StationId)],
    mut stations: HashMap<StationId, Box<RawValue>>,
) -> Result<Vec<StationEdge>, Failure> {
    let found = page.iter().filter_map(|key| Some((key, stations.remove(&key.1)?)));
    found
        .map(|(key, node)| Ok(StationEdge { cursor: Cursor::of(key)?, node, distance_km: key.0.km() }))
        .collect()
}

impl TryFrom<(StationId, f64, f64)> for Candidate {
    type Error = &'static str;

    fn try_from((id, north, east): (StationId, f64, f64)) -> Result<Self, Self::Error> {
        Ok(Self { id, place: Point::at(north, east).ok_or("is not on the globe")? })
    }
}

impl From<Candidate> for (StationId, f64, f64) {
    fn from(candidate: Candidate) -> Self {
        (candidate.id, candidate.place.north(), candidate.place.east())
    }
}
