//! Redis, as a cache that may be gone: every miss and every fault is `None`, logged once a burst, and costs at
//! most [`PATIENCE`]. Nothing here is the only copy of anything.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncTypedCommands, RedisError, Script};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Mutex;
use tracing::warn;

use crate::{MissingSetting, setting};

/// The longest a cache may delay an answer.
const PATIENCE: Duration = Duration::from_millis(150);
/// How long a cache that failed is left alone.
const REST: Duration = Duration::from_secs(2);

/// Where readers hear of keys that changed, as `{"keys": […]}`.
const CHANNEL: &str = "invalidate";

/// Writes or deletes a text unless a newer version of it was there; its version outlives it.
const REPLACE: &str = "
    local version = redis.call('GET', KEYS[2])
    if version and version > ARGV[1] then
        return 0
    end
    redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
    if ARGV[5] then
        redis.call('SET', KEYS[1], ARGV[5], 'EX', ARGV[2])
    else
        redis.call('DEL', KEYS[1])
    end
    redis.call('PUBLISH', ARGV[3], ARGV[4])
    return 1";

/// A client that connects at first use.
pub struct Cache {
    url: String,
    connection: Mutex<Option<ConnectionManager>>,
    /// Unix milliseconds until which the cache is not asked.
    resting_until: AtomicI64,
}

impl Cache {
    /// From `REDIS_URL`; does not connect yet.
    pub fn from_env() -> Result<Self, MissingSetting> {
        Ok(Self::new(setting("REDIS_URL")?))
    }

    /// At `url`, `redis://` or `rediss://`; does not connect yet.
    pub fn new(url: String) -> Self {
        Self { url, connection: Mutex::new(None), resting_until: AtomicI64::new(0) }
    }

    /// The value under `key`; none when there is none, when it is not a `T`, or when Redis is gone.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let text = self.ask(async |redis| redis.get(key).await).await??;
        serde_json::from_str(&text).ok()
    }

    /// Keeps `value` under `key` for `lifetime`.
    pub async fn set(&self, key: &str, value: &impl Serialize, lifetime: Duration) {
        let Ok(text) = serde_json::to_string(value) else { return };
        self.ask(async |redis| redis.set_ex(key, &text, lifetime.as_secs()).await).await;
    }

    /// Keeps `value` under `key`, or forgets what is there, unless that was done with a newer version less than
    /// `lifetime` ago: what is late undoes nothing. Versions compare as text; the last one is kept under `{key}:age`.
    /// Gives whether it was done; none when Redis is gone.
    pub async fn replace(
        &self,
        key: &str,
        version: &str,
        value: Option<&impl Serialize>,
        lifetime: Duration,
    ) -> Option<bool> {
        let text = value.map(serde_json::to_string).transpose().ok()?;
        let script = Script::new(REPLACE);
        let mut call = script.key(key);
        call.key(format!("{key}:age")).arg(version).arg(lifetime.as_secs());
        call.arg(CHANNEL).arg(json!({ "keys": [key] }).to_string());
        if let Some(text) = text {
            call.arg(text);
        }
        self.ask(async |redis| call.invoke_async(redis).await).await
    }

    /// Forgets `keys`.
    pub async fn forget(&self, keys: &[String]) {
        if !keys.is_empty() {
            self.ask(async |redis| redis.del(keys).await).await;
        }
    }

    /// Adds one to a counter and gives its new value; the counter goes `lifetime` after its first use.
    pub async fn count(&self, key: &str, lifetime: Duration) -> Option<i64> {
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        self.ask(async |redis| {
            let (count, _): (i64, bool) =
                redis::pipe().atomic().incr(key, 1).expire(key, seconds).arg("NX").query_async(redis).await?;
            Ok(count)
        })
        .await
    }

    /// Runs one command of the caller's own; none when Redis is gone. It is run again if the connection was lost.
    pub async fn ask<T>(
        &self,
        command: impl AsyncFnOnce(&mut ConnectionManager) -> Result<T, RedisError> + Clone,
    ) -> Option<T> {
        let now = chrono::Utc::now().timestamp_millis();
        if now < self.resting_until.load(Ordering::Relaxed) {
            return None;
        }
        self.insist(command).await
    }

    /// [`Self::ask`], even if Redis failed a moment ago: for what must not stay undone where it can be done.
    pub async fn insist<T>(
        &self,
        command: impl AsyncFnOnce(&mut ConnectionManager) -> Result<T, RedisError> + Clone,
    ) -> Option<T> {
        let answer = async {
            let mut connection = self.connection().await?;
            match command.clone()(&mut connection).await {
                // Redis may have been restarted since, which a connection that nobody used has not noticed.
                Err(error) if error.is_io_error() => command(&mut connection).await,
                answer => answer,
            }
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => warn!(cause = %error, "the cache failed"),
            Err(_) => warn!("the cache did not answer in time"),
        }
        let now = chrono::Utc::now().timestamp_millis();
        let rest = i64::try_from(REST.as_millis()).unwrap_or(i64::MAX);
        self.resting_until.store(now.saturating_add(rest), Ordering::Relaxed);
        None
    }

    async fn connection(&self) -> Result<ConnectionManager, RedisError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref() {
            return Ok(connection.clone());
        }
        let config =
            ConnectionManagerConfig::new().set_number_of_retries(0).set_connection_timeout(Some(PATIENCE));
        let client = redis::Client::open(self.url.as_str())?;
        let connection = ConnectionManager::new_with_config(client, config).await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }
}
