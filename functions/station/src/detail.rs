//! `getStation`, and how every answer shows a station: from Redis as it lies there, or else from Aurora.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use redis::{AsyncTypedCommands, RedisError};
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::{Cache, Failure, MissingSetting, StationId, Timestamp};

use crate::model::{Connector, ConnectorStatus, Station};
use crate::store::aurora::{Aurora, StationRow};
use crate::store::{connector_key, detail_key};

const LIFETIME: Duration = Duration::from_secs(600);
/// How a cached station that has live connectors tells: they have numbers. A JSON string cannot hold it, its quotes would
/// be escaped.
const LIVE: &str = r#""connectorNumber":""#;

/// The argument of `getStation`.
#[derive(Debug, Clone, Deserialize)]
pub struct GetStation {
    #[serde(deserialize_with = "station_id")]
    id: StationId,
}

/// Stations in the form of the GraphQL `Station`.
pub struct Details {
    aurora: Aurora,
    cache: Cache,
}

/// The station asked for.
pub async fn get(details: &Details, request: GetStation) -> Result<Box<RawValue>, Failure> {
    one(details, request.id).await
}

/// The station of that id.
pub(crate) async fn one(details: &Details, id: StationId) -> Result<Box<RawValue>, Failure> {
    let mut found = details.many(&[id]).await?;
    found.remove(&id).ok_or(Failure::NotFound("station"))
}

impl Details {
    /// From the settings of the database and Redis; connects at first use.
    pub async fn from_env() -> Result<Self, MissingSetting> {
        Self::new(&shared::aws_config().await)
    }

    pub(crate) fn new(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self { aurora: Aurora::from_env(config)?, cache: Cache::from_env()? })
    }

    /// Those of `ids` that exist.
    pub(crate) async fn many(&self, ids: &[StationId]) -> Result<HashMap<StationId, Box<RawValue>>, Failure> {
        let mut stations = self.cached(ids).await;
        let missing: Vec<StationId> = ids.iter().filter(|id| !stations.contains_key(id)).copied().collect();
        if missing.is_empty() {
            return Ok(stations);
        }
        let rows = self.aurora.details(&missing).await?;
        let read: Vec<_> = rows
            .into_iter()
            .map(|row| {
                let station = Station::from(row);
                Ok((station.id, serde_json::value::to_raw_value(&station).map_err(Failure::fault)?))
            })
            .collect::<Result<_, Failure>>()?;
        if !read.is_empty() {
            self.keep(&read).await;
        }
        stations.extend(read);
        Ok(stations)
    }

    /// What Redis has of `ids`, live status included.
    async fn cached(&self, ids: &[StationId]) -> HashMap<StationId, Box<RawValue>> {
        if ids.is_empty() {
            return HashMap::new();
        }
        let keys: Vec<String> = ids.iter().copied().map(detail_key).collect();
        let texts = self.cache.ask(async |redis| redis.mget(&keys).await).await.unwrap_or_default();
        let mut stations = HashMap::with_capacity(ids.len());
        for (id, text) in ids.iter().zip(texts) {
            let Some(text) = text else { continue };
            let text = if text.contains(LIVE) { self.live(&text).await } else { Some(text) };
            if let Some(raw) = text.and_then(|text| RawValue::from_string(text).ok()) {
                stations.insert(*id, raw);
            }
        }
        stations
    }

    /// A cached station with the live status of its connectors. A status is reported to Aurora and Redis at once, but
    /// a station read just before may be cached just after: what was reported later wins.
    async fn live(&self, text: &str) -> Option<String> {
        let mut station: Station = serde_json::from_str(text).ok()?;
        if station.connectors.is_empty() {
            return Some(text.to_owned());
        }
        let keys: Vec<String> =
            station.connectors.iter().map(|connector| connector_key(station.id, connector.id)).collect();
        let hashes = self
            .cache
            .ask(async |redis| {
                let mut pipeline = redis::pipe();
                for key in &keys {
                    pipeline.hmget(key, &["status", "updatedAt"]);
                }
                let hashes: Vec<(Option<String>, Option<String>)> = pipeline.query_async(redis).await?;
                Ok::<_, RedisError>(hashes)
            })
            .await
            .unwrap_or_default();
        for (connector, hash) in station.connectors.iter_mut().zip(hashes) {
            if let Some((status, at)) = reported(hash)
                && connector.updated_at.is_none_or(|known| known < at)
            {
                connector.status = status;
                connector.updated_at = Some(at);
                station.updated_at = station.updated_at.max(at);
            }
        }
        serde_json::to_string(&station).ok()
    }

    async fn keep(&self, stations: &[(StationId, Box<RawValue>)]) {
        self.cache
            .ask(async |redis| {
                let mut pipeline = redis::pipe();
                for (id, raw) in stations {
                    pipeline.set_ex(detail_key(*id), raw.get(), LIFETIME.as_secs()).ignore();
                }
                pipeline.query_async::<()>(redis).await
            })
            .await;
    }
}

fn reported((status, at): (Option<String>, Option<String>)) -> Option<(ConnectorStatus, Timestamp)> {
    Some((serde_json::from_value(status?.into()).ok()?, at?.parse().ok()?))
}

fn station_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<StationId, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl From<StationRow> for Station {
    fn from(row: StationRow) -> Self {
        let controlled = row.connectors.iter().any(|connector| connector.controlled);
        let live = row.connectors.iter().map(|connector| connector.updated_at).max();
        let connectors = if live.is_some() {
            row.connectors
                .into_iter()
                .map(|connector| Connector {
                    id: connector.id,
                    connector_number: Some(connector.number.to_string()),
                    kind: connector.kind,
                    power_kw: Some(connector.power_kw),
                    quantity: 1,
                    status: connector.status,
                    updated_at: connector.status_at,
                })
                .collect()
        } else {
            row.connections
                .into_iter()
                .map(|connection| Connector {
                    id: connection.id,
                    connector_number: None,
                    kind: connection.kind,
                    power_kw: connection.power_kw,
                    quantity: connection.quantity,
                    status: ConnectorStatus::Unknown,
                    updated_at: None,
                })
                .collect()
        };
        let lines = [row.address_line, row.town, row.state, row.country];
        let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        Self {
            id: row.id,
            ocm_id: row.ocm_id,
            name: row.name,
            address: lines.join(", "),
            latitude: row.latitude,
            longitude: row.longitude,
            connectors,
            status: row.status,
            usage_cost: row.usage_cost,
            operator: row.operator,
            usage_type: row.usage_type,
            number_of_points: row.number_of_points,
            controlled,
            last_verified: row.last_verified,
            updated_at: live.map_or(row.updated_at, |live| live.max(row.updated_at)),
            attribution: row.attribution,
        }
    }
}
