//! Holds: a connector kept for one driver for ten minutes. Redis has them; the database has a mirror of them, and those
//! that were taken while Redis was gone.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta};
use redis::AsyncTypedCommands;
use serde::{Deserialize, Serialize};
use shared::{Cache, ConnectorId, Event, Failure, MissingSetting, StationId, Timestamp, UserId};

use crate::calendar::{self, Held};
use crate::hold_script::{self, Entry, Taken};
use crate::hold_token::HoldToken;

/// How long a confirmed booking stays blocked in Redis: longer than any calendar without it is kept.
const BLOCK: TimeDelta = TimeDelta::seconds(120);

/// A connector kept for a driver. On the wire it is what `SLOT_HOLD_CREATED` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// By which it is confirmed or given back.
    #[serde(rename = "holdToken")]
    pub token: HoldToken,
    /// Whose it is.
    pub user_id: UserId,
    /// The connector's station.
    pub station_id: StationId,
    /// What is kept …
    pub connector_id: ConnectorId,
    /// … from this full minute …
    pub start_ts: Timestamp,
    /// … to this one.
    pub end_ts: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

impl Event for Hold {
    const TYPE: &'static str = "SLOT_HOLD_CREATED";
}

/// Redis does not answer: what it has, nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RedisGone;

/// How long holds last and how many a driver may have.
#[derive(Debug, Clone, Copy)]
pub struct HoldSettings {
    /// 30 s to 30 minutes.
    pub lifetime: TimeDelta,
    /// At a time; at least one.
    pub most_per_user: u32,
}

impl HoldSettings {
    /// From `BOOKING_HOLD_TTL_SECONDS` (600 unless set) and `BOOKING_MAX_HOLDS_PER_USER` (3 unless set).
    pub fn from_env() -> Self {
        let told = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
        let seconds = told("BOOKING_HOLD_TTL_SECONDS").unwrap_or(600).clamp(30, 1800);
        Self {
            lifetime: TimeDelta::seconds(i64::from(seconds)),
            most_per_user: told("BOOKING_MAX_HOLDS_PER_USER").unwrap_or(3).max(1),
        }
    }
}

/// The holds that Redis has. Every answer is of one atomic script or one read, and Redis may be gone.
pub struct Holds {
    cache: Cache,
    settings: HoldSettings,
}

impl Holds {
    /// From `REDIS_URL` and the settings of [`HoldSettings::from_env`]; connects at first use.
    pub fn from_env() -> Result<Self, MissingSetting> {
        Ok(Self::new(Cache::from_env()?, HoldSettings::from_env()))
    }

    /// In that Redis.
    pub fn new(cache: Cache, settings: HoldSettings) -> Self {
        Self { cache, settings }
    }

    /// How long holds last and how many a driver may have.
    pub fn settings(&self) -> HoldSettings {
        self.settings
    }

    /// Redis itself, which keeps calendars and counts beside holds.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The user's hold of that name. None when Redis is gone or does not have it: it may be in `slot_holds` then, be
    /// another user's, have lapsed long ago or never have been, which the statement that wants it decides. A hold of
    /// the user's that has just lapsed is a conflict `HOLD_EXPIRED`.
    pub async fn find(
        &self,
        token: &HoldToken,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<Hold>, Failure> {
        let Ok(Some(hold)) = self.of_user(token, user).await else { return Ok(None) };
        if hold.expires_at <= now {
            return Err(Failure::conflict("HOLD_EXPIRED", "the hold has lapsed, take another"));
        }
        Ok(Some(hold))
    }

    /// To be told after a booking was confirmed: its hold is spent and no longer counts, but the slot stays blocked until
    /// every calendar shows the booking. The database has the last word if this is lost.
    pub async fn booked(
        &self,
        station: StationId,
        connector: ConnectorId,
        start: Timestamp,
        end: Timestamp,
        token: Option<&HoldToken>,
        now: Timestamp,
    ) {
        let connector_key = hold_script::connector_key(connector);
        let entry = match token {
            Some(token) => self.entry(&connector_key, token).await,
            None => None,
        };
        let block = (end, now + BLOCK);
        let call = hold_script::drop_entry(&connector_key, entry.as_ref(), start, Some(block));
        self.cache.insist(async |redis| call.invoke_async::<()>(redis).await).await;
        self.forget_calendar(station).await;
    }

    /// To be told after a booking was cancelled or nobody came: its slot is free.
    pub async fn freed(&self, station: StationId, connector: ConnectorId, start: Timestamp) {
        let call = hold_script::drop_entry(&hold_script::connector_key(connector), None, start, None);
        self.cache.insist(async |redis| call.invoke_async::<()>(redis).await).await;
        self.forget_calendar(station).await;
    }

    /// Takes `hold`; none when Redis is gone.
    pub(crate) async fn take(&self, hold: &Hold, now: Timestamp) -> Option<Taken> {
        let call = hold_script::take(hold, now, self.settings.most_per_user);
        let told: Vec<String> = self.cache.ask(async |redis| call.invoke_async(redis).await).await?;
        Taken::read(&told)
    }

    /// Gives `hold` back; nothing happens if it is gone.
    pub(crate) async fn give_back(&self, hold: &Hold) {
        let entry = Entry { token: hold.token.clone(), user: hold.user_id };
        let connector_key = hold_script::connector_key(hold.connector_id);
        let call = hold_script::drop_entry(&connector_key, Some(&entry), hold.start_ts, None);
        self.cache.insist(async |redis| call.invoke_async::<()>(redis).await).await;
    }

    /// The user's hold of that name, lapsed or not.
    pub(crate) async fn of_user(&self, token: &HoldToken, user: UserId) -> Result<Option<Hold>, RedisGone> {
        let key = hold_script::user_key(user);
        let text = self.cache.insist(async |redis| redis.get(&key).await).await.ok_or(RedisGone)?;
        Ok(text.and_then(|text| hold_script::holds_of(user, &text).find(|hold| hold.token == *token)))
    }

    /// What is held of the connectors, lapsed or not; none when Redis is gone.
    pub(crate) async fn of_connectors(
        &self,
        connectors: impl Iterator<Item = ConnectorId>,
    ) -> Option<HashMap<ConnectorId, Vec<Held>>> {
        let connectors: Vec<_> = connectors.collect();
        if connectors.is_empty() {
            return Some(HashMap::new());
        }
        let keys: Vec<_> = connectors.iter().copied().map(hold_script::connector_key).collect();
        let texts = self.cache.ask(async |redis| redis.mget(&keys).await).await?;
        let held = |text: Option<String>| text.iter().flat_map(|text| hold_script::held(text)).collect();
        Some(connectors.into_iter().zip(texts.into_iter().map(held)).collect())
    }

    /// The station's calendar is read again by whoever asks next.
    pub(crate) async fn forget_calendar(&self, station: StationId) {
        self.cache.forget(&[calendar::key(station)]).await;
    }

    async fn entry(&self, connector_key: &str, token: &HoldToken) -> Option<Entry> {
        let text = self.cache.insist(async |redis| redis.get(connector_key).await).await??;
        hold_script::entries(&text).find(|entry| entry.token == *token)
    }
}

/// A moment to the second, as Redis has it.
pub(crate) fn moment(seconds: i64) -> Option<Timestamp> {
    DateTime::from_timestamp(seconds, 0)
}
