//! How often something may be done that costs us or tells something: counted in Redis, in windows of an hour; with
//! Redis gone it is not limited. Who is refused is whom the count is of, and nobody else.

use redis::Pipeline;
use shared::{Cache, Failure, UserId};

use crate::limit::{hash, network};

const WINDOW_SECONDS: i64 = 3600;
/// Registrations from one network, unless `REGISTRATIONS_PER_HOUR` says otherwise: a household, a charging park, not a
/// machine that fills tables or asks which addresses have accounts.
const REGISTRATIONS: i64 = 20;
/// New addresses for one account.
const NEW_ADDRESSES: i64 = 5;

/// How often it may be done in an hour, and the key that it is counted under.
pub(crate) struct Quota {
    key: String,
    at_most: i64,
}

/// How many accounts one network may open in an hour.
#[derive(Clone, Copy)]
pub struct RegistrationLimit(i64);

impl RegistrationLimit {
    /// From `REGISTRATIONS_PER_HOUR`; 20 unless set.
    pub fn from_env() -> Self {
        let told = std::env::var("REGISTRATIONS_PER_HOUR").ok().and_then(|text| text.parse().ok());
        Self(told.unwrap_or(REGISTRATIONS))
    }

    /// What the network of `source_ip` has; none for a request that came from nowhere.
    pub(crate) fn of(self, source_ip: Option<&str>) -> Option<Quota> {
        let key = format!("register:address:{}", hash(&network(source_ip?)));
        Some(Quota { key, at_most: self.0 })
    }
}

impl Quota {
    /// What `account` has of new e-mail addresses.
    pub(crate) fn new_address(account: UserId) -> Self {
        Self { key: format!("new-address:account:{account}"), at_most: NEW_ADDRESSES }
    }

    /// Counts one more, or refuses it until the hour is over.
    pub(crate) async fn admit(&self, cache: &Cache) -> Result<(), Failure> {
        let mut commands = Pipeline::new();
        commands.incr(&self.key, 1).expire(&self.key, WINDOW_SECONDS).arg("NX").ignore().ttl(&self.key);
        let counted: Option<(i64, i64)> = cache.ask(async |redis| commands.query_async(redis).await).await;
        match counted {
            Some((count, seconds_left)) if count > self.at_most => {
                Err(Failure::Limited { retry_after_seconds: u32::try_from(seconds_left).unwrap_or(1).max(1) })
            }
            _ => Ok(()),
        }
    }
}
