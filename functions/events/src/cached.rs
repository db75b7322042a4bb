//! The keys that events refresh, in Redis. Readers in this process and others hear of every change on the channel
//! `invalidate`, as `{"keys": […]}`.
//!
//! | key | value |
//! |---|---|
//! | `station:{id}:connectors:{connector id}` | hash of `status`, `errorCode`, `updatedAt`, 1 h |
//! | `station:{id}:detail` | kept by station readers, forgotten here |
//! | `stations:generation` | number in the keys of station lists; a new one leaves them all behind |
//! | `session:{id}` | an open session's state as JSON, 1 h |
//! | `session:{id}:age` | the age of the event that wrote or deleted it, 1 h |
//!
//! Ages compare as text; what an older event says never replaces what a newer one said.

use redis::{Pipeline, Script};
use serde::Serialize;
use serde_json::json;
use shared::{Cache, Failure};

const CHANNEL: &str = "invalidate";
const LIFETIME_SECONDS: u64 = 3600;

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

/// Writes or deletes a text unless a newer event was there first; its age outlives it.
const PUT_TEXT: &str = "
    local age = redis.call('GET', KEYS[2])
    if age and age > ARGV[1] then
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
    call.arg(age).arg(LIFETIME_SECONDS).arg(CHANNEL).arg(told(&[key.to_owned()])).arg(fields);
    cache.ask(async |redis| call.invoke_async::<()>(redis).await).await.ok_or_else(gone)
}

/// Keeps `value` under `key`, or deletes what is there.
pub(crate) async fn put(
    cache: &Cache,
    key: &str,
    age: &str,
    value: Option<&impl Serialize>,
) -> Result<(), Failure> {
    let text = value.map(serde_json::to_string).transpose().map_err(Failure::fault)?;
    let script = Script::new(PUT_TEXT);
    let mut call = script.key(key);
    call.key(format!("{key}:age")).arg(age).arg(LIFETIME_SECONDS).arg(CHANNEL).arg(told(&[key.to_owned()]));
    if let Some(text) = text {
        call.arg(text);
    }
    cache.ask(async |redis| call.invoke_async::<()>(redis).await).await.ok_or_else(gone)
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
