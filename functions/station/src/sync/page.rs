//! One page of POIs: each read on its own, so that a broken one costs itself alone.

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;
use shared::{Failure, StationId, Timestamp};
use tracing::warn;

use super::destination::Destination;
use crate::ocm::mapping::{MirroredStation, moment};
use crate::ocm::paging::Row;
use crate::store::aurora::Tally;

/// A statement takes so many stations; about 1 KB each, well below the Data API's limits.
const CHUNK: usize = 500;
/// A larger POI is no POI.
const LARGEST_POI: usize = 1 << 20;
/// BSON documents may be nested a hundred levels deep; a POI has five.
const DEEPEST_POI: usize = 32;

/// A POI as it came, and what became of it.
pub(super) struct Item {
    poi: Value,
    station: Result<MirroredStation, String>,
}

impl Item {
    pub(super) fn row(&self) -> Row {
        Row { id: self.poi["ID"].as_i64(), modified: moment(&self.poi["DateLastStatusUpdate"]) }
    }
}

/// Reads each POI of a page.
pub(super) fn read(raw: &[Box<RawValue>]) -> Vec<Item> {
    raw.iter().map(|raw| item(raw.get())).collect()
}

fn item(text: &str) -> Item {
    if text.len() > LARGEST_POI {
        return Item { poi: Value::Null, station: Err("it is too large".to_owned()) };
    }
    let poi: Value = match serde_json::from_str(text) {
        Ok(poi) => poi,
        Err(error) => return Item { poi: Value::Null, station: Err(error.to_string()) },
    };
    let station = if is_deeper_than(&poi, DEEPEST_POI) {
        Err("it is nested too deep".to_owned())
    } else {
        MirroredStation::from_poi(&poi).map_err(|error| error.to_string())
    };
    Item { poi, station }
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(values) => levels == 0 || values.iter().any(|value| is_deeper_than(value, levels - 1)),
        Value::Object(fields) => {
            levels == 0 || fields.values().any(|value| is_deeper_than(value, levels - 1))
        }
        _ => false,
    }
}

/// Writes the items to Aurora, which decides the stations' ids, then to the mirror.
pub(super) async fn mirror(
    stores: &impl Destination,
    items: &[&Item],
    at: Timestamp,
) -> Result<Tally, Failure> {
    let mut tally = Tally { processed: count(items.len()), ..Tally::default() };
    // A page may hold an ID twice, a statement may not: the later one is the newer.
    let mut stations: HashMap<i32, (&Value, &MirroredStation)> = HashMap::new();
    for item in items {
        match &item.station {
            Ok(station) => drop(stations.insert(station.ocm_id, (&item.poi, station))),
            Err(cause) => {
                warn!(ocm_id = item.poi["ID"].as_i64(), cause, "a POI cannot be mirrored");
                tally.failed += 1;
            }
        }
    }
    let mut stations: Vec<_> = stations.into_values().collect();
    stations.sort_unstable_by_key(|(_, station)| station.ocm_id);
    for chunk in stations.chunks(CHUNK) {
        let rows: Vec<&MirroredStation> = chunk.iter().map(|(_, station)| *station).collect();
        let upserted = stores.upsert(&rows, at).await?;
        let ids: HashMap<i32, StationId> = upserted.iter().map(|row| (row.ocm_id, row.id)).collect();
        let documents: Vec<_> = chunk
            .iter()
            .filter_map(|(poi, station)| Some((*ids.get(&station.ocm_id)?, *poi, *station)))
            .collect();
        let written = stores.replace(&documents).await?;
        tally.updated += i64::try_from(written.changed).unwrap_or(i64::MAX);
        tally.failed += count(written.refused.len() + chunk.len() - documents.len());
        let changed: Vec<StationId> = upserted.iter().filter(|row| row.changed).map(|row| row.id).collect();
        stores.forget(&changed).await;
    }
    Ok(tally)
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
