//! Stations in Aurora: one statement a question, one a change.

use aws_config::SdkConfig;
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    CorrelationId, Database, Failure, MissingSetting, Outbox, PowerKw, Statement, StationId, Timestamp,
};
use uuid::Uuid;

use crate::geo::EARTH_RADIUS_KM;
use crate::model::{ConnectorStatus, StationStatus};
use crate::nearby::{Circle, OwnStation};
use crate::ocm::mapping::MirroredStation;
use crate::ocm::paging::Position;

/// The tables `stations`, `connections`, `connectors` and `ocm_sync`.
pub(crate) struct Aurora {
    database: Database,
}

/// A station with all that hangs on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StationRow {
    pub(crate) id: StationId,
    pub(crate) ocm_id: Option<i32>,
    pub(crate) name: String,
    pub(crate) address_line: String,
    pub(crate) town: String,
    pub(crate) state: String,
    pub(crate) country: String,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) status: StationStatus,
    pub(crate) operator: Option<String>,
    pub(crate) usage_type: Option<String>,
    pub(crate) usage_cost: Option<String>,
    pub(crate) number_of_points: Option<i32>,
    pub(crate) attribution: Option<String>,
    pub(crate) last_verified: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
    /// Mirrored groups, in the mirror's order.
    pub(crate) connections: Vec<ConnectionRow>,
    /// Controlled ones, and those that vendors report of.
    pub(crate) connectors: Vec<ConnectorRow>,
}

/// A row of `connections`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionRow {
    pub(crate) id: Uuid,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) power_kw: Option<PowerKw>,
    pub(crate) quantity: i32,
}

/// A row of `connectors`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectorRow {
    pub(crate) id: Uuid,
    pub(crate) number: i32,
    /// Whether a charger of ours has it.
    pub(crate) controlled: bool,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) power_kw: PowerKw,
    pub(crate) status: ConnectorStatus,
    pub(crate) status_at: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
}

/// A row of the Data API holds 64 KB: a station of many connectors has several rows, each with a hundred of them.
const DETAILS: &str = "
SELECT jsonb_build_object(
    'id', s.id, 'ocmId', s.ocm_id, 'name', s.name,
    'addressLine', s.address_line, 'town', s.town, 'state', s.state, 'country', s.country,
    'latitude', s.latitude, 'longitude', s.longitude, 'status', s.status,
    'operator', s.operator, 'usageType', s.usage_type, 'usageCost', s.usage_cost,
    'numberOfPoints', s.number_of_points, 'attribution', s.attribution,
    'lastVerified', rfc3339(s.last_verified), 'updatedAt', rfc3339(s.updated_at),
    'connections', COALESCE((
        SELECT jsonb_agg(jsonb_build_object('id', c.id, 'type', c.type, 'powerKw', c.power_kw, 'quantity', c.quantity)
                         ORDER BY c.position)
        FROM connections c WHERE c.station_id = s.id), '[]'),
    'connectors', COALESCE(part.connectors, '[]'))
FROM stations s
LEFT JOIN LATERAL (
    SELECT (listed.position - 1) / 100 AS number, jsonb_agg(listed.connector ORDER BY listed.position) AS connectors
    FROM (
        SELECT row_number() OVER (ORDER BY h.created_at, h.id, c.vendor_id, c.connector_number, c.id) AS position,
               jsonb_build_object('id', c.id, 'number', c.connector_number, 'controlled', h.id IS NOT NULL,
                                  'type', c.connector_type, 'powerKw', c.power_kw, 'status', c.status,
                                  'statusAt', rfc3339(c.status_at), 'updatedAt', rfc3339(c.updated_at)) AS connector
        FROM connectors c LEFT JOIN chargers h ON h.id = c.charger_id WHERE c.station_id = s.id) AS listed
    GROUP BY number) AS part ON true
WHERE s.id IN (SELECT value::uuid FROM jsonb_array_elements_text(:ids::jsonb))
ORDER BY s.id, part.number";

/// Stations that the mirror cannot judge: not in it, or with connectors that we know better.
const OWN: &str = "
SELECT jsonb_build_object(
    'id', s.id, 'latitude', s.latitude, 'longitude', s.longitude, 'status', s.status, 'operator', s.operator,
    'connectors', COALESCE(
        (SELECT jsonb_agg(DISTINCT jsonb_build_object('type', c.connector_type, 'powerKW', c.power_kw))
         FROM connectors c WHERE c.station_id = s.id),
        (SELECT jsonb_agg(DISTINCT jsonb_build_object('type', c.type, 'powerKW', c.power_kw))
         FROM connections c WHERE c.station_id = s.id),
        '[]'))
FROM stations s
WHERE s.latitude BETWEEN :south::float8 AND :north::float8
  AND (s.longitude BETWEEN :west::float8 AND :east::float8
       OR s.longitude + 360 BETWEEN :west::float8 AND :east::float8
       OR s.longitude - 360 BETWEEN :west::float8 AND :east::float8)
  AND (s.ocm_id IS NULL OR EXISTS (SELECT FROM connectors c WHERE c.station_id = s.id))
ORDER BY s.id LIMIT :limit::bigint";

/// The Data API answers at most 1 MiB; the largest stations have about 10 KB.
const DETAILS_AT_ONCE: usize = 50;

impl Aurora {
    /// From the settings of [`Database::from_env`].
    pub(crate) fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self { database: Database::from_env(config)? })
    }

    /// Those of `ids` that exist, in no order.
    pub(crate) async fn details(&self, ids: &[StationId]) -> Result<Vec<StationRow>, Failure> {
        let mut stations: Vec<StationRow> = Vec::with_capacity(ids.len());
        for ids in ids.chunks(DETAILS_AT_ONCE) {
            let statement = Statement::read(DETAILS).bind("ids", json!(ids));
            for row in self.database.rows::<StationRow>(statement).await? {
                match stations.last_mut().filter(|station| station.id == row.id) {
                    Some(station) => station.connectors.extend(row.connectors),
                    None => stations.push(row),
                }
            }
        }
        Ok(stations)
    }

    /// Stations around `circle` (in its bounding box) that are ours or have connectors of ours.
    pub(crate) async fn own_stations(&self, circle: Circle, limit: i64) -> Result<Vec<OwnStation>, Failure> {
        let degrees = (circle.radius_km / EARTH_RADIUS_KM).to_degrees();
        let (north, east) = (circle.center.north(), circle.center.east());
        let around_pole = north.abs() + degrees >= 90.0;
        let ratio = degrees.to_radians().sin() / north.to_radians().cos();
        let width = if around_pole { 360.0 } else { ratio.clamp(-1.0, 1.0).asin().to_degrees() };
        let statement = Statement::read(OWN)
            .bind("south", north - degrees)
            .bind("north", north + degrees)
            .bind("west", east - width)
            .bind("east", east + width)
            .bind("limit", limit);
        Ok(self.database.rows(statement).await?)
    }
}

/// What `ocm_sync` holds, and how a synchronisation changes Aurora.
pub(crate) struct SyncState {
    outbox: Outbox,
}

/// The one row of `ocm_sync`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    /// Everything modified before was mirrored; none: nothing yet.
    pub(crate) modified_since: Option<Timestamp>,
    /// The run under way.
    pub(crate) run: Option<Run>,
}

/// A run under way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// Also the correlation id of the event that ends it.
    pub(crate) id: CorrelationId,
    pub(crate) started_at: Timestamp,
    /// Whether it began with the first POI there is.
    pub(crate) full: bool,
    pub(crate) position: Position,
    pub(crate) tally: Tally,
}

/// What a run, or a page of it, did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Tally {
    /// POIs taken up, those that failed among them.
    pub(crate) processed: i64,
    /// Those that are new or became different.
    pub(crate) updated: i64,
    /// Those that could not be mirrored.
    pub(crate) failed: i64,
}

/// A station as the upsert left it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Upserted {
    pub(crate) id: StationId,
    pub(crate) ocm_id: i32,
    /// Whether anything that the app shows became different.
    pub(crate) changed: bool,
}

impl SyncState {
    /// From the settings of [`Outbox::from_env`].
    pub(crate) fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self { outbox: Outbox::from_env(config)? })
    }

    pub(crate) async fn progress(&self) -> Result<Progress, Failure> {
        let statement = Statement::read(
            "SELECT jsonb_build_object(
                 'modifiedSince', rfc3339(modified_since),
                 'run', CASE WHEN run_id IS NOT NULL THEN jsonb_build_object(
                     'id', run_id, 'startedAt', rfc3339(run_started_at), 'full', run_full,
                     'position', jsonb_build_object('since', rfc3339(run_since), 'edge', run_edge),
                     'tally', jsonb_build_object('processed', processed, 'updated', updated, 'failed', failed)) END)
             FROM ocm_sync",
        );
        let progress = self.outbox.database().row(statement).await?;
        progress.ok_or_else(|| Failure::fault("the row of ocm_sync is missing"))
    }

    /// Makes `run` the one under way, whatever was.
    pub(crate) async fn begin(&self, run: &Run) -> Result<(), Failure> {
        let statement = Statement::new(
            "UPDATE ocm_sync SET run_id = :run::uuid, run_started_at = :started_at::timestamptz,
                 run_full = :full::boolean, run_since = :since::timestamptz, run_edge = :edge::jsonb,
                 processed = 0, updated = 0, failed = 0
             RETURNING to_jsonb(run_id)",
        );
        let statement = statement
            .bind("run", run.id)
            .bind("started_at", run.started_at)
            .bind("full", run.full)
            .bind("since", run.position.since)
            .bind("edge", json!(run.position.edge));
        self.outbox.database().rows::<Value>(statement).await?;
        Ok(())
    }

    /// Notes that the run has come to `position`; a conflict when another run took over meanwhile.
    pub(crate) async fn advance(&self, run: &Run, position: &Position, page: Tally) -> Result<(), Failure> {
        let statement = Statement::new(
            "UPDATE ocm_sync SET run_since = :since::timestamptz, run_edge = :edge::jsonb,
                 processed = processed + :processed::bigint, updated = updated + :updated::bigint,
                 failed = failed + :failed::bigint
             WHERE run_id = :run::uuid AND processed = :before::bigint
             RETURNING to_jsonb(run_id)",
        );
        let statement = statement
            .bind("run", run.id)
            .bind("before", run.tally.processed)
            .bind("since", position.since)
            .bind("edge", json!(position.edge))
            .bind("processed", page.processed)
            .bind("updated", page.updated)
            .bind("failed", page.failed);
        let noted: Option<Value> = self.outbox.database().row(statement).await?;
        noted.map(drop).ok_or_else(overtaken)
    }

    /// Ends the run, with its event: the next increment begins at `modified_since`.
    pub(crate) async fn finish(
        &self,
        run: &Run,
        modified_since: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), Failure> {
        let statement = Statement::new(
            "WITH finished AS (
                 UPDATE ocm_sync SET run_id = NULL, run_edge = '[]',
                     modified_since = GREATEST(modified_since, :modified_since::timestamptz)
                 WHERE run_id = :run::uuid
                 RETURNING run_started_at, processed, updated, failed)
             SELECT jsonb_build_object('outcome', true, 'events', jsonb_build_array(
                 emit('OCM_SYNC_COMPLETED', 1, 'ocm-sync-worker', :run::uuid, :at::timestamptz, jsonb_build_object(
                     'startedAt', rfc3339(run_started_at), 'finishedAt', rfc3339(:at::timestamptz),
                     'processed', processed, 'updated', updated, 'failed', failed))))
             FROM finished",
        );
        let statement = statement.bind("run", run.id).bind("modified_since", modified_since).bind("at", at);
        let finished: Option<bool> = self.outbox.write(statement).await?;
        finished.map(drop).ok_or_else(overtaken)
    }

    /// Writes mirrored stations and their connections, keyed by `ocm_id`, and tells their ids.
    pub(crate) async fn upsert(
        &self,
        stations: &[&MirroredStation],
        at: Timestamp,
    ) -> Result<Vec<Upserted>, Failure> {
        let statement = Statement::new("SELECT upsert_mirrored_stations(:stations::jsonb, :at::timestamptz)");
        let statement = statement.bind("stations", json!(stations)).bind("at", at);
        Ok(self.outbox.database().rows(statement).await?)
    }
}

fn overtaken() -> Failure {
    Failure::conflict("SYNC_OVERTAKEN", "another synchronisation took over")
}

/// `modifiedsince` as OpenChargeMap reads it.
pub(crate) fn moment_parameter(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}
