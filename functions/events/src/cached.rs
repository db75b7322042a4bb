//! The keys that events refresh, in Redis. Readers in this process and others hear of every change on the channel
//! `invalidate`, as `{"keys": […]}`.
//!
//! | key | value |
//! |---|---|
//! | `station:{id}:connectors:{connector id}` | hash of `status`, `errorCode`, `updatedAt`, 1 h |
//! | `station:{id}:detail` | kept by station readers, forgotten here |
//! | `station:{id}:availability` | kept by calendar readers, forgotten here |
//! | `stations:generation` | number in the keys of station lists; a new one leaves them all behind |
//! | `session:{id}` | an open session as the API shows it, 1 h; those who change sessions write it, too |
//! | `session:{id}:age` | the `updatedAt` of what was written or deleted last, 1 h |
//!
//! Ages compare as text; what an older event says never replaces what a newer one said.

use std::time::Duration;

use redis::{Pipeline, Script};
use serde::Serialize;
use serde_json::json;
use shared::{Cache, Failure};

const CHANNEL: &str = "invalidate";
/// How long what was kept, or that it was deleted, is known.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);

/// Replaces a hash of fields unless a newer event was there first; its age is one of them.
const PUT_FIELDS: &str = "
    local age = redis.call('HGET', KEYS[1], 'age')
    if age and age > ARGV[1] then
        return 0
    end
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'age', ARGV[1], unpack(ARGV, 5))
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    redis.call('PUBLISH', ARGV[3], ARGV[4])
    return 1";

fn told(keys: &[String]) -> String {
    json!({ "keys": keys }).to_string()
}

fn gone() -> Failure {
    Failure::Unavailable("the cache")
}

/// Keeps `fields` under `key`.
pub(crate) async fn put_fields(
    cache: &Cache,
    key: &str,
    age: &str,
    fields: &[(&str, &str)],
) -> Result<(), Failure> {
    let script = Script::new(PUT_FIELDS);
    let mut call = script.key(key);
    call.arg(age).arg(LIFETIME.as_secs()).arg(CHANNEL).arg(told(&[key.to_owned()])).arg(fields);
    cache.ask(async |redis| call.invoke_async::<()>(redis).await).await.ok_or_else(gone)
}

/// Keeps `value` under `key`, or deletes what is there.
pub(crate) async fn put(
    cache: &Cache,
    key: &str,
    age: &str,
    value: Option<&impl Serialize>,
) -> Result<(), Failure> {
    cache.replace(key, age, value, LIFETIME).await.map(drop).ok_or_else(gone)
}

/// Deletes what readers keep under `keys`.
pub(crate) async fn forget(cache: &Cache, keys: &[String]) -> Result<(), Failure> {
    let mut commands = Pipeline::new();
    commands.del(keys).ignore().publish(CHANNEL, told(keys)).ignore();
    cache.ask(async |redis| commands.query_async::<()>(redis).await).await.ok_or_else(gone)
}

/// Leaves every station list behind.
pub(crate) async fn begin_generation(cache: &Cache) -> Result<(), Failure> {
    const GENERATION: &str = "stations:generation";
    let mut commands = Pipeline::new();
    commands.incr(GENERATION, 1).ignore().publish(CHANNEL, told(&[GENERATION.to_owned()])).ignore();
    cache.ask(async |redis| commands.query_async::<()>(redis).await).await.ok_or_else(gone)
}
