//! Whose turn it is to tell of a connector, in Redis: one at a time, and the newest wins. A hash a connector,
//! `live:connector:{id}`:
//!
//! | field | what |
//! |---|---|
//! | `version` | of the newest update that anybody has begun to send |
//! | `left` | what is left to do of it, while something is |
//! | `holder`, `free_at` | who sends it or did last, and until when (Unix milliseconds) nobody else may |
//!
//! Each script may run twice, since an answer may be lost. That an update was begun is noted before the first socket hears of it, so that nothing older can follow, whatever
//! becomes of its sender.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::Script;
use shared::{Cache, ConnectorId, Failure, MissingSetting};
use tokio::time::{Instant, sleep};
use tracing::warn;
use uuid::Uuid;

use crate::progress::Progress;

/// How long a sender that does not report is waited for.
const LEASE: Duration = Duration::from_secs(5);
/// What was sent last is known longer than a socket lives, and longer than news stay news.
const MEMORY: Duration = Duration::from_secs(3 * 3600);
/// How long a message waits for its turn before its queue has it again.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(15);
/// How long Redis may be gone before updates are sent without it: longer than the cache rests after a fault, so that
/// it was asked twice.
const GRACE: Duration = Duration::from_millis(2500);
/// Connectors that one process remembers.
const REMEMBERED: usize = 10_000;

const CLOCK: &str = "
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + math.floor(clock[2] / 1000)";

/// Gives 0 when the update is late, 1 when another sends, or what is left to do.
const TAKE: &str = "
    local known = redis.call('HMGET', KEYS[1], 'version', 'left', 'holder', 'free_at')
    local version, left, holder, free_at = known[1], known[2], known[3], known[4]
    if version and version > ARGV[1] then
        return '0'
    end
    if version == ARGV[1] and not left then
        return '0'
    end
    if free_at and tonumber(free_at) > now and holder ~= ARGV[2] then
        return '1'
    end
    if version ~= ARGV[1] then
        left = '{}'
    end
    redis.call('HSET', KEYS[1], 'version', ARGV[1], 'left', left, 'holder', ARGV[2],
        'free_at', string.format('%.0f', now + ARGV[3]))
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return left";

/// Notes what is left, and prolongs the turn or, with no time to prolong it by, ends it; unless it is another's by now.
const NOTE: &str = "
    if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then
        return 0
    end
    if ARGV[2] == '' then
        redis.call('HDEL', KEYS[1], 'left')
    else
        redis.call('HSET', KEYS[1], 'left', ARGV[2])
    end
    if ARGV[3] == '0' then
        redis.call('HDEL', KEYS[1], 'free_at')
    else
        redis.call('HSET', KEYS[1], 'free_at', string.format('%.0f', now + ARGV[3]))
    end
    return 1";

/// The turns of all connectors.
pub struct Turns {
    cache: Cache,
    take: Script,
    note: Script,
    /// Since when Redis has not answered.
    gone_since: Mutex<Option<Instant>>,
    /// What this process has begun to send last: all there is to go by without Redis.
    begun: Mutex<HashMap<ConnectorId, String>>,
}

/// What an update may do.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Go, with what is left of it.
    Mine(Lease, Progress),
    /// Redis is gone: go, as far as this process knows.
    Unguarded,
    /// A newer update was begun, or this one was sent.
    Late,
}

/// A turn that was taken.
#[derive(Debug)]
pub(crate) struct Lease {
    key: String,
    holder: String,
}

impl Turns {
    /// From `REDIS_URL`; connects at first use.
    pub fn from_env() -> Result<Self, MissingSetting> {
        Ok(Self::new(Cache::from_env()?))
    }

    /// Kept in `cache`.
    pub fn new(cache: Cache) -> Self {
        Self {
            cache,
            take: Script::new(&format!("{CLOCK}{TAKE}")),
            note: Script::new(&format!("{CLOCK}{NOTE}")),
            gone_since: Mutex::default(),
            begun: Mutex::default(),
        }
    }

    /// Takes the turn to tell of `connector`, as soon as nobody else has it. Fails, for a later try, when that takes
    /// too long.
    pub(crate) async fn take(&self, connector: ConnectorId, version: &str) -> Result<Turn, Failure> {
        let lease = Lease { key: format!("live:connector:{connector}"), holder: Uuid::new_v4().to_string() };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE + GRACE {
            let mut call = self.take.key(&lease.key);
            call.arg(version).arg(&lease.holder).arg(millis(LEASE)).arg(millis(MEMORY));
            let answer: Option<String> = self.cache.ask(async |redis| call.invoke_async(redis).await).await;
            match (self.is_given_up(answer.is_some()), answer.as_deref()) {
                (_, Some("0")) => return Ok(Turn::Late),
                (_, Some("1")) if begun.elapsed() >= PATIENCE => break,
                (_, Some("1")) | (false, None) => sleep(POLL).await,
                (_, Some(left)) => {
                    self.begins(connector, version);
                    return Ok(Turn::Mine(lease, serde_json::from_str(left).map_err(Failure::fault)?));
                }
                (true, None) if self.begins(connector, version) => return Ok(Turn::Unguarded),
                (true, None) => return Ok(Turn::Late),
            }
        }
        Err(Failure::Unavailable("the connector's turn"))
    }

    /// Notes how far the update has come and keeps the turn; gives whether that is so. Without Redis, it is as far as
    /// anybody knows.
    pub(crate) async fn keep(&self, lease: &Lease, progress: &Progress) -> Result<bool, Failure> {
        Ok(self.note(lease, progress, LEASE).await?.unwrap_or(true))
    }

    /// Notes how far the update has come and ends the turn. Gives whether that is known to whoever takes it up again.
    pub(crate) async fn end(&self, lease: &Lease, progress: &Progress) -> Result<bool, Failure> {
        Ok(self.note(lease, progress, Duration::ZERO).await?.unwrap_or(false))
    }

    async fn note(
        &self,
        lease: &Lease,
        progress: &Progress,
        keep: Duration,
    ) -> Result<Option<bool>, Failure> {
        let left = match progress.is_done() {
            true => String::new(),
            false => serde_json::to_string(progress).map_err(Failure::fault)?,
        };
        loop {
            let mut call = self.note.key(&lease.key);
            call.arg(&lease.holder).arg(&left).arg(millis(keep));
            let is_mine: Option<bool> = self.cache.ask(async |redis| call.invoke_async(redis).await).await;
            if self.is_given_up(is_mine.is_some()) || is_mine.is_some() {
                return Ok(is_mine);
            }
            sleep(POLL).await;
        }
    }

    /// Whether Redis, which has answered just now or has not, is not to be waited for.
    fn is_given_up(&self, has_answered: bool) -> bool {
        let mut gone_since = self.gone_since.lock().unwrap_or_else(PoisonError::into_inner);
        if has_answered {
            *gone_since = None;
            return false;
        }
        let since = *gone_since.get_or_insert_with(|| {
            warn!("updates wait for Redis");
            Instant::now()
        });
        since.elapsed() > GRACE
    }

    /// Whether this process has begun nothing as new about the connector.
    fn begins(&self, connector: ConnectorId, version: &str) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.get(&connector).is_some_and(|known| known.as_str() >= version) {
            return false;
        }
        if begun.len() >= REMEMBERED {
            begun.clear();
        }
        begun.insert(connector, version.to_owned());
        true
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
