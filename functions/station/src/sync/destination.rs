//! Where a synchronisation writes to: Aurora, the mirror, and the caches of what it changes.

use aws_config::SdkConfig;
use serde_json::Value;
use shared::{Cache, Failure, MissingSetting, StationId, Timestamp, setting};

use crate::ocm::backoff::Backoff;
use crate::ocm::client::{Access, OpenChargeMap};
use crate::ocm::mapping::MirroredStation;
use crate::ocm::paging::Position;
use crate::store::aurora::{Progress, Run, SyncState, Tally, Upserted};
use crate::store::mirror::{Mirror, Written};
use crate::store::{detail_key, secret};

/// What a run needs of its stores; tests keep it in memory.
pub(crate) trait Destination {
    async fn progress(&self) -> Result<Progress, Failure>;
    async fn begin(&self, run: &Run) -> Result<(), Failure>;
    async fn advance(&self, run: &Run, position: &Position, page: Tally) -> Result<(), Failure>;
    async fn finish(&self, run: &Run, since: Option<Timestamp>, at: Timestamp) -> Result<(), Failure>;
    async fn upsert(&self, stations: &[&MirroredStation], at: Timestamp) -> Result<Vec<Upserted>, Failure>;
    async fn replace(&self, pois: &[(StationId, &Value, &MirroredStation)]) -> Result<Written, Failure>;
    async fn forget(&self, stations: &[StationId]);
}

/// The real stores, and OpenChargeMap's address.
pub struct Synchronisation {
    state: SyncState,
    mirror: Mirror,
    cache: Cache,
    config: SdkConfig,
    secret_arn: String,
}

impl Synchronisation {
    /// From `OCM_SECRET_ARN`, `MONGO_SECRET_ARN` and the settings of the database, the bus and Redis; connects at
    /// first use.
    pub async fn from_env() -> Result<Self, MissingSetting> {
        let config = shared::aws_config().await;
        Ok(Self {
            state: SyncState::from_env(&config)?,
            mirror: Mirror::from_env(&config)?,
            cache: Cache::from_env()?,
            secret_arn: setting("OCM_SECRET_ARN")?,
            config,
        })
    }

    /// OpenChargeMap, by the secret as it is now: a new key needs no new deployment.
    pub(super) async fn upstream(&self) -> Result<OpenChargeMap, Failure> {
        let access: Access = secret(&self.config, &self.secret_arn).await?;
        OpenChargeMap::new(access, Backoff::default())
    }
}

impl Destination for Synchronisation {
    async fn progress(&self) -> Result<Progress, Failure> {
        self.state.progress().await
    }

    async fn begin(&self, run: &Run) -> Result<(), Failure> {
        self.state.begin(run).await
    }

    async fn advance(&self, run: &Run, position: &Position, page: Tally) -> Result<(), Failure> {
        self.state.advance(run, position, page).await
    }

    async fn finish(&self, run: &Run, since: Option<Timestamp>, at: Timestamp) -> Result<(), Failure> {
        self.state.finish(run, since, at).await
    }

    async fn upsert(&self, stations: &[&MirroredStation], at: Timestamp) -> Result<Vec<Upserted>, Failure> {
        self.state.upsert(stations, at).await
    }

    async fn replace(&self, pois: &[(StationId, &Value, &MirroredStation)]) -> Result<Written, Failure> {
        // Boxed: the driver's futures nest deeper than the compiler follows.
        Box::pin(self.mirror.replace(pois)).await
    }

    async fn forget(&self, stations: &[StationId]) {
        let keys: Vec<String> = stations.iter().copied().map(detail_key).collect();
        self.cache.forget(&keys).await;
    }
}
