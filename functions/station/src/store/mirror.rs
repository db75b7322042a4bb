//! The OpenChargeMap mirror in MongoDB: each POI whole, under its own keys, beside what searches need of it.
//!
//! `find` with `$near` and an indexed cell is ordinary MongoDB: a real server uses the 2dsphere index and filters by
//! cell, a server whose 2dsphere index is slow finds the cells first. Distances are computed by the caller.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_config::SdkConfig;
use futures::TryStreamExt;
use mongodb::bson::{self, Bson, Document, doc};
use mongodb::options::{ClientOptions, IndexOptions, Sphere2DIndexVersion};
use mongodb::{Client, Collection, Database, IndexModel};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use shared::{Failure, MissingSetting, StationId, setting};
use tokio::sync::OnceCell;
use tracing::warn;
use uuid::Uuid;

use super::secret;
use crate::cells::{Cell, cover};
use crate::geo::{EARTH_RADIUS_KM, Point};
use crate::model::StationStatus;
use crate::nearby::{Candidate, Circle, Filters};
use crate::ocm::mapping::MirroredStation;

/// The mirror's collection.
pub const COLLECTION: &str = "stations";
/// MongoDB's sphere: `$maxDistance` is in metres on it.
const MONGO_EARTH_RADIUS_KM: f64 = 6378.1;
/// MongoDB's code for an upsert that another writer's came before.
const DUPLICATE_KEY: i32 = 11000;
/// The longest a search waits for the mirror, connecting to it included.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long searches leave a mirror alone that did not answer one: whoever comes meanwhile need not wait to hear so.
const REST: Duration = Duration::from_secs(5);
const GONE: Failure = Failure::Unavailable("the station mirror");

#[derive(Deserialize)]
struct Access {
    uri: String,
    database: String,
}

/// The mirror; connects at first use.
pub(crate) struct Mirror {
    config: SdkConfig,
    secret_arn: String,
    database: OnceCell<Database>,
    indexed: OnceCell<()>,
    /// Unix milliseconds until which searches do not ask.
    resting_until: AtomicI64,
}

/// What a bulk write did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Documents that are new or became different.
    pub(crate) changed: u64,
    /// The `externalId`s of those that MongoDB refused.
    pub(crate) refused: Vec<i32>,
}

/// What MongoDB answers an `update` command. Its `nModified` is not used: not every server leaves out the documents
/// that were replaced by their like.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Updated {
    #[serde(default)]
    write_errors: Vec<WriteError>,
}

/// What the mirror has of a POI.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    external_id: i32,
    digest: String,
}

/// A document to be written.
struct Entry {
    ocm_id: i32,
    id: bson::Uuid,
    digest: String,
    document: Document,
}

#[derive(Deserialize)]
struct WriteError {
    index: usize,
    code: i32,
    #[serde(default)]
    errmsg: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    location: GeoPoint,
}

#[derive(Deserialize)]
struct GeoPoint {
    /// East, north.
    coordinates: [f64; 2],
}

impl Mirror {
    /// From `MONGO_SECRET_ARN`; does not connect yet.
    pub(crate) fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self {
            config: config.clone(),
            secret_arn: setting("MONGO_SECRET_ARN")?,
            database: OnceCell::new(),
            indexed: OnceCell::new(),
            resting_until: AtomicI64::new(0),
        })
    }

    /// The places of up to `limit` stations in `circle` that pass `filters`, the nearest ones.
    pub(crate) async fn near(
        &self,
        circle: Circle,
        filters: &Filters,
        limit: i64,
    ) -> Result<Vec<Candidate>, Failure> {
        let now = chrono::Utc::now().timestamp_millis();
        if now < self.resting_until.load(Ordering::Relaxed) {
            return Err(GONE);
        }
        let asked = tokio::time::timeout(PATIENCE, self.ask_near(circle, filters, limit));
        let answer = asked.await.unwrap_or_else(|_| {
            warn!("the mirror did not answer in time");
            Err(GONE)
        });
        if let Err(Failure::Unavailable(_)) = answer {
            let rest = i64::try_from(REST.as_millis()).unwrap_or(i64::MAX);
            self.resting_until
                .store(chrono::Utc::now().timestamp_millis().saturating_add(rest), Ordering::Relaxed);
        }
        answer
    }

    async fn ask_near(
        &self,
        circle: Circle,
        filters: &Filters,
        limit: i64,
    ) -> Result<Vec<Candidate>, Failure> {
        let found = self
            .collection::<Found>()
            .await?
            .find(query(circle, filters))
            .projection(doc! { "location.coordinates": 1 })
            .limit(limit)
            .batch_size(u32::try_from(limit).unwrap_or(u32::MAX))
            .max_time(PATIENCE)
            .await
            .map_err(unavailable)?;
        let found: Vec<Found> = found.try_collect().await.map_err(unavailable)?;
        let candidate = |found: Found| {
            let [east, north] = found.location.coordinates;
            Some(Candidate { id: Uuid::from_bytes(found.id.bytes()).into(), place: Point::at(north, east)? })
        };
        Ok(found.into_iter().filter_map(candidate).collect())
    }

    /// Makes the mirror hold these POIs, keyed by `externalId`; what it holds already is not written again.
    pub(crate) async fn replace(
        &self,
        pois: &[(StationId, &Value, &MirroredStation)],
    ) -> Result<Written, Failure> {
        let database = self.database().await?;
        self.indexed.get_or_try_init(async || create_indexes(database).await).await?;
        let mut written = Written::default();
        let mut entries = Vec::with_capacity(pois.len());
        for (id, poi, station) in pois {
            match entry(*id, poi, station) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    warn!(ocm_id = station.ocm_id, cause = %error, "the POI is no BSON document");
                    written.refused.push(station.ocm_id);
                }
            }
        }
        let known = known(database, &entries).await?;
        // Aurora decides the ids: what is known here by another one gives way.
        let misnamed: Vec<i32> = entries
            .iter()
            .filter(|entry| known.get(&entry.ocm_id).is_some_and(|known| known.id != entry.id))
            .map(|entry| entry.ocm_id)
            .collect();
        if !misnamed.is_empty() {
            let collection = database.collection::<Document>(COLLECTION);
            collection.delete_many(doc! { "externalId": { "$in": &misnamed } }).await.map_err(unavailable)?;
        }
        entries.retain(|entry| {
            known.get(&entry.ocm_id).is_none_or(|known| known.id != entry.id || known.digest != entry.digest)
        });
        let (raced, mut refused): (Vec<_>, Vec<_>) =
            update(database, &entries).await?.into_iter().partition(|(_, error)| error.code == DUPLICATE_KEY);
        let raced: Vec<&Entry> = raced.into_iter().map(|(entry, _)| entry).collect();
        refused.extend(update(database, raced).await?);
        for (entry, error) in &refused {
            warn!(ocm_id = entry.ocm_id, code = error.code, cause = error.errmsg, "refused by the mirror");
        }
        written.changed = (entries.len() - refused.len()) as u64;
        written.refused.extend(refused.iter().map(|(entry, _)| entry.ocm_id));
        Ok(written)
    }

    async fn collection<T: Send + Sync>(&self) -> Result<Collection<T>, Failure> {
        Ok(self.database().await?.collection(COLLECTION))
    }

    async fn database(&self) -> Result<&Database, Failure> {
        self.database
            .get_or_try_init(async || {
                let access: Access = secret(&self.config, &self.secret_arn).await?;
                connect(&access.uri, &access.database).await
            })
            .await
    }
}

/// A lazy connection that gives up soon.
pub(crate) async fn connect(uri: &str, database: &str) -> Result<Database, Failure> {
    let mut options = ClientOptions::parse(uri).await.map_err(Failure::fault)?;
    options.max_pool_size = Some(4);
    options.connect_timeout = Some(Duration::from_secs(2));
    options.server_selection_timeout = Some(Duration::from_secs(3));
    Ok(Client::with_options(options).map_err(Failure::fault)?.database(database))
}

/// The filter of a search.
pub(crate) fn query(circle: Circle, filters: &Filters) -> Document {
    // Metres on MongoDB's sphere that surely hold the circle on ours.
    let metres = circle.radius_km / EARTH_RADIUS_KM * MONGO_EARTH_RADIUS_KM * 1000.0 + 1.0;
    let cells: Vec<i32> =
        cover(circle.center, circle.radius_km + 0.01).into_iter().map(Cell::number).collect();
    let mut query = doc! {
        "location": { "$near": { "$geometry": geo_json(circle.center), "$maxDistance": metres } },
        "cell": { "$in": cells },
    };
    query.insert(
        "status",
        match filters.status {
            Some(status) => Bson::String(name(status)),
            None => doc! { "$ne": name(StationStatus::Removed) }.into(),
        },
    );
    if let Some(operator) = &filters.operator {
        query.insert("search.operator", operator.as_str());
    }
    let mut connector = Document::new();
    if let Some(kind) = &filters.connector_type {
        connector.insert("type", kind.as_str());
    }
    if let Some(power) = filters.min_power_kw {
        connector.insert("powerKW", doc! { "$gte": power });
    }
    if !connector.is_empty() {
        query.insert("search.connectors", doc! { "$elemMatch": connector });
    }
    query
}

/// The POI under its own keys, and ours (which begin with a small letter, as none of OpenChargeMap's does).
fn entry(id: StationId, poi: &Value, station: &MirroredStation) -> Result<Entry, bson::error::Error> {
    let id = bson::Uuid::from_bytes(id.uuid().into_bytes());
    let mut document = bson::serialize_to_document(poi)?;
    document.insert("_id", id);
    document.insert("externalId", station.ocm_id);
    document.insert("status", name(station.status));
    if let Some(place) = station.place() {
        document.insert("location", geo_json(place));
        document.insert("cell", Cell::of(place).number());
    }
    let connectors = station.connections.iter().map(|connection| {
        let mut connector = doc! { "type": connection.kind.to_lowercase() };
        if let Some(power) = connection.power_kw {
            connector.insert("powerKW", power);
        }
        Bson::Document(connector)
    });
    let mut search = doc! { "connectors": connectors.collect::<Vec<_>>() };
    if let Some(operator) = &station.operator {
        search.insert("operator", operator.to_lowercase());
    }
    document.insert("search", search);
    let digest: String =
        Sha256::digest(document.to_vec()?).iter().map(|byte| format!("{byte:02x}")).collect();
    document.insert("digest", &digest);
    Ok(Entry { ocm_id: station.ocm_id, id, digest, document })
}

fn geo_json(place: Point) -> Document {
    doc! { "type": "Point", "coordinates": [place.east(), place.north()] }
}

/// A status as its serialised name.
fn name(status: StationStatus) -> String {
    serde_json::to_value(status).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

async fn known(database: &Database, entries: &[Entry]) -> Result<HashMap<i32, Known>, Failure> {
    let ids: Vec<i32> = entries.iter().map(|entry| entry.ocm_id).collect();
    let known = database
        .collection::<Known>(COLLECTION)
        .find(doc! { "externalId": { "$in": &ids } })
        .projection(doc! { "externalId": 1, "digest": 1 })
        .batch_size(u32::try_from(ids.len()).unwrap_or(u32::MAX))
        .await
        .map_err(unavailable)?;
    let known: Vec<Known> = known.try_collect().await.map_err(unavailable)?;
    Ok(known.into_iter().map(|known| (known.external_id, known)).collect())
}

/// Writes all entries in one command, and tells which ones MongoDB refused.
async fn update<'a>(
    database: &Database,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<Vec<(&'a Entry, WriteError)>, Failure> {
    let entries: Vec<&Entry> = entries.into_iter().collect();
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let replacement =
        |entry: &&Entry| doc! { "q": { "externalId": entry.ocm_id }, "u": &entry.document, "upsert": true };
    let updates: Vec<Document> = entries.iter().map(replacement).collect();
    let command = doc! { "update": COLLECTION, "updates": updates, "ordered": false };
    let answer = database.run_command(command).await.map_err(unavailable)?;
    let updated: Updated = bson::deserialize_from_document(answer).map_err(Failure::fault)?;
    let entry = |error: WriteError| entries.get(error.index).map(|entry| (*entry, error));
    Ok(updated.write_errors.into_iter().filter_map(entry).collect())
}

/// Idempotent. The 2dsphere version is MongoDB's default; told, because some servers take its absence for another index.
async fn create_indexes(database: &Database) -> Result<(), Failure> {
    let index =
        |keys: Document, options: IndexOptions| IndexModel::builder().keys(keys).options(options).build();
    let sphere = IndexOptions::builder().sphere_2d_index_version(Sphere2DIndexVersion::V3).build();
    let unique = IndexOptions::builder().unique(true).build();
    let indexes = [
        index(doc! { "location": "2dsphere" }, sphere),
        index(doc! { "externalId": 1 }, unique),
        index(doc! { "cell": 1 }, IndexOptions::default()),
    ];
    let collection = database.collection::<Document>(COLLECTION);
    collection.create_indexes(indexes).await.map(drop).map_err(unavailable)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: mongodb::error::Error) -> Failure {
    warn!(cause = %error, "the mirror failed");
    GONE
}
