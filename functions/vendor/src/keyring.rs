//! Vendors' keys, kept for a minute. Whoever sends signatures or vendors that nobody knows makes the secrets be read now
//! and then, and no more often.

use std::collections::HashMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use chrono::TimeDelta;
use shared::{Failure, MissingSetting, Timestamp, VendorId};
use tokio::sync::Mutex;
use tracing::warn;

use crate::{Key, Vault};

/// A key that was withdrawn is accepted no longer than this.
const MAX_AGE: TimeDelta = TimeDelta::seconds(60);
/// … and than this while its secret cannot be read.
const MAX_AGE_UNREAD: TimeDelta = TimeDelta::minutes(10);
/// However many unknown signatures turn up, a vendor's secret is read no more often.
const MIN_PAUSE: TimeDelta = TimeDelta::seconds(5);
/// However many vendors that have no keys are named, no more than `MOST_STRANGERS` are looked for in that time.
const STRANGERS_PERIOD: TimeDelta = TimeDelta::seconds(10);
const MOST_STRANGERS: u32 = 50;
/// How many of those are remembered.
const MOST_KEPT: usize = 1000;

/// The keys of all vendors, as far as they were asked for.
pub struct Keyring {
    vault: Vault,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    vendors: HashMap<VendorId, Held>,
    strangers: Strangers,
}

/// What was last read of one vendor; without keys: there is no such vendor.
#[derive(Clone)]
struct Held {
    keys: Arc<[Key]>,
    read_at: Timestamp,
    tried_at: Timestamp,
}

/// How many vendors without keys were looked for since `begun`.
#[derive(Default)]
struct Strangers {
    begun: Timestamp,
    count: u32,
}

impl Keyring {
    /// Keys out of that vault; reads nothing yet.
    pub fn new(vault: Vault) -> Self {
        Self { vault, kept: Mutex::default() }
    }

    /// From the settings of [`Vault::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Vault::from_env(config)?))
    }

    /// A vendor's keys, no older than a minute where the secret can be read; none for a vendor that does not exist.
    pub(crate) async fn keys(&self, vendor: VendorId, now: Timestamp) -> Result<Arc<[Key]>, Failure> {
        let mut kept = self.kept.lock().await;
        match kept.vendors.get(&vendor) {
            Some(held) if now - held.read_at < MAX_AGE => Ok(Arc::clone(&held.keys)),
            Some(held) if now - held.tried_at < MIN_PAUSE && now - held.read_at < MAX_AGE_UNREAD => {
                Ok(Arc::clone(&held.keys))
            }
            _ => kept.read(&self.vault, vendor, now).await,
        }
    }

    /// Its keys if they may be read again already; none if they were just now.
    pub(crate) async fn newer(
        &self,
        vendor: VendorId,
        now: Timestamp,
    ) -> Result<Option<Arc<[Key]>>, Failure> {
        let mut kept = self.kept.lock().await;
        match kept.vendors.get(&vendor) {
            Some(held) if now - held.tried_at < MIN_PAUSE => Ok(None),
            _ => kept.read(&self.vault, vendor, now).await.map(Some),
        }
    }
}

impl Kept {
    /// Reads a vendor's secret. What is known already is better than nothing, for a while.
    async fn read(&mut self, vault: &Vault, vendor: VendorId, now: Timestamp) -> Result<Arc<[Key]>, Failure> {
        let held = self.vendors.get(&vendor).cloned();
        if held.as_ref().is_none_or(|held| held.keys.is_empty()) && !self.strangers.allow(now) {
            warn!("too many vendors are asked for that have no keys");
            return Err(Failure::Unavailable("the vendors' keys"));
        }
        let (keys, read_at) = match (vault.read(vendor).await, held) {
            (Ok(version), _) => (version.map(|version| version.keys.keys.into()).unwrap_or_default(), now),
            (Err(failure), Some(held)) if now - held.read_at < MAX_AGE_UNREAD => {
                warn!(cause = failure.causes(), %vendor, "the keys of earlier stay in use");
                (held.keys, held.read_at)
            }
            (Err(failure), _) => return Err(failure),
        };
        if self.vendors.len() >= MOST_KEPT {
            self.vendors.retain(|_, held| !held.keys.is_empty() && now - held.read_at < MAX_AGE_UNREAD);
        }
        self.vendors.insert(vendor, Held { keys: Arc::clone(&keys), read_at, tried_at: now });
        Ok(keys)
    }
}

impl Strangers {
    fn allow(&mut self, now: Timestamp) -> bool {
        if now - self.begun >= STRANGERS_PERIOD {
            *self = Self { begun: now, count: 0 };
        }
        self.count += 1;
        self.count <= MOST_STRANGERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_looked_for_now_and_then() {
        let mut strangers = Strangers::default();
        let at = |seconds| Timestamp::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds);
        let allowed = (0..1000).filter(|_| strangers.allow(at(0))).count();
        assert_eq!(allowed, 50);
        assert!(!strangers.allow(at(9)));
        assert!(strangers.allow(at(10)));
    }
}
