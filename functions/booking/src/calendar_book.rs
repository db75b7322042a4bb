//! Where calendars come from: Redis for a minute, else the database.

use std::time::Duration;

use aws_config::SdkConfig;
use shared::{Database, Failure, MissingSetting, StationId, Timestamp};

use crate::calendar::{self, Calendar};
use crate::hold::Holds;
use crate::store;

const LIFETIME: Duration = Duration::from_secs(60);

/// The calendars of all stations, and the holds beside them.
pub struct Calendars {
    database: Database,
    holds: Holds,
}

impl Calendars {
    /// From that database and the Redis of `holds`.
    pub fn new(database: Database, holds: Holds) -> Self {
        Self { database, holds }
    }

    /// From the settings of [`Database::from_env`] and [`Holds::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Database::from_env(config)?, Holds::from_env()?))
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn holds(&self) -> &Holds {
        &self.holds
    }

    /// A station's, at most a minute old. Holds that it knows of are perhaps not all there are.
    pub(crate) async fn of(&self, station: StationId, now: Timestamp) -> Result<Calendar, Failure> {
        let key = calendar::key(station);
        if let Some(calendar) = self.holds.cache().get(&key).await {
            return Ok(calendar);
        }
        let calendar = store::calendar::read(&self.database, station, now).await?;
        let calendar = calendar.ok_or(Failure::NotFound("station"))?;
        self.holds.cache().set(&key, &calendar, LIFETIME).await;
        Ok(calendar)
    }
}
