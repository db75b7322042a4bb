//! Holds in Redis: two keys, and the scripts that change both at once.
//!
//! | key | value |
//! |---|---|
//! | `connector:{id}:holds` | text: `<start> <end> <lapses> <token> <user>;` for each; `… block -;` is what a booking left |
//! | `user:{id}:holds` | text: `<token> <station>/<connector>/<start>/<end> <lapses>;` for each |
//!
//! Start and end are in unix seconds. `lapses` is in unix milliseconds and is what decides, by the clock of whoever asks;
//! the keys' own lifetime only clears up. Texts, since a script is as fast as its calls are few: taking a hold is one
//! read and two writes.

use std::sync::LazyLock;

use redis::{Script, ScriptInvocation};
use shared::{ConnectorId, Timestamp, UserId};

use crate::calendar::{Held, Minutes};
use crate::hold::{Hold, moment};
use crate::hold_token::HoldToken;

/// Takes a hold. KEYS: the connector's, the user's. ARGV: the connector's entry, the user's, now, most per user. Gives
/// `TAKEN`, with token and lapse of the earlier one if it is repeated; `OVERLAPS`; or `TOO_MANY`. A connector has some 300
/// holds at a time and no more, so that no call takes long.
///
/// Moments are compared as the texts they are: until the year 2286 all that are of one unit have as many digits.
const TAKE: &str = "
    local call, now = redis.call, ARGV[3]
    local known = call('MGET', KEYS[1], KEYS[2])
    local held, own = known[1] or '', known[2] or ''
    local lapsed = false
    local function drop(lapses)
        if lapses <= now then
            return ''
        end
    end
    if own ~= '' then
        local wanted, count = string.match(ARGV[2], ' ([^ ]+) '), 0
        for token, slot, lapses in string.gmatch(own, '([^ ;]+) ([^ ]+) (%d+);') do
            if lapses <= now then
                lapsed = true
            elseif slot == wanted then
                return {'TAKEN', token, lapses}
            else
                count = count + 1
            end
        end
        if count >= tonumber(ARGV[4]) then
            return {'TOO_MANY'}
        end
        if lapsed then
            own = string.gsub(own, '[^ ;]+ [^ ]+ (%d+);', drop)
        end
    end
    if held ~= '' then
        local start, finish = string.match(ARGV[1], '^(%d+) (%d+) ')
        lapsed = false
        for from, to, lapses in string.gmatch(held, '(%d+) (%d+) (%d+) [^;]+;') do
            if lapses <= now then
                lapsed = true
            elseif from < finish and start < to then
                return {'OVERLAPS'}
            end
        end
        if lapsed then
            held = string.gsub(held, '%d+ %d+ (%d+) [^;]+;', drop)
        end
        if #held > 32768 then
            return {'OVERLAPS'}
        end
    end
    call('SET', KEYS[1], held .. ARGV[1], 'EX', '3600')
    call('SET', KEYS[2], own .. ARGV[2], 'EX', '3600')
    return {'TAKEN'}";

/// Removes the entry at the start `ARGV[2]` that is called `ARGV[1]` from the connector and, if a second key is told, from
/// its user. `ARGV[3]`, if told, takes its place.
const DROP: &str = "
    local function without(key, pattern, added)
        local kept = ''
        for entry, from, token in string.gmatch(redis.call('GET', key) or '', pattern) do
            if token ~= ARGV[1] or (from ~= '' and from ~= ARGV[2]) then
                kept = kept .. entry
            end
        end
        kept = kept .. added
        if kept == '' then
            redis.call('DEL', key)
        else
            redis.call('SET', key, kept, 'EX', 3600)
        end
    end
    without(KEYS[1], '((%d+) %d+ %d+ ([^ ]+) [^;]+;)', ARGV[3] or '')
    if KEYS[2] then
        without(KEYS[2], '((%d*)([^ ]+) [^;]+;)', '')
    end";

const BLOCKED: &str = "block";

static TAKE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE));
static DROP_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(DROP));

pub(crate) fn connector_key(connector: ConnectorId) -> String {
    format!("connector:{connector}:holds")
}

pub(crate) fn user_key(user: UserId) -> String {
    format!("user:{user}:holds")
}

/// What taking a hold came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is held.
    Hold,
    /// The user has that very slot already.
    Earlier { token: HoldToken, expires_at: Timestamp },
    /// Another hold, or a booking just made, is in the way.
    Overlaps,
    /// The user has as many as one may have.
    TooMany,
}

impl Taken {
    pub(crate) fn read(told: &[String]) -> Option<Self> {
        match told {
            [word] if word == "TAKEN" => Some(Self::Hold),
            [word, token, lapses] if word == "TAKEN" => {
                let expires_at = chrono::DateTime::from_timestamp_millis(lapses.parse().ok()?)?;
                Some(Self::Earlier { token: token.parse().ok()?, expires_at })
            }
            [word] if word == "OVERLAPS" => Some(Self::Overlaps),
            [word] if word == "TOO_MANY" => Some(Self::TooMany),
            _ => None,
        }
    }
}

/// The call of the script that takes `hold` at `now` unless it overlaps or is more than `most` of the user's: what
/// [`crate::hold_slot()`] sends to Redis.
pub fn take(hold: &Hold, now: Timestamp, most: u32) -> ScriptInvocation<'static> {
    let (start, end) = (hold.start_ts.timestamp(), hold.end_ts.timestamp());
    let Hold { token, user_id, station_id, connector_id, .. } = hold;
    let lapses = hold.expires_at.timestamp_millis();
    let slot = format!("{station_id}/{connector_id}/{start}/{end}");
    let mut call = TAKE_SCRIPT.key(connector_key(*connector_id));
    call.key(user_key(*user_id)).arg(format!("{start} {end} {lapses} {token} {user_id};"));
    call.arg(format!("{token} {slot} {lapses};")).arg(now.timestamp_millis()).arg(most);
    call
}

/// The call that removes a hold, or what a booking left, and puts a block that ends and lapses then in its place.
pub(crate) fn drop_entry(
    connector_key: &str,
    entry: Option<&Entry>,
    start: Timestamp,
    block: Option<(Timestamp, Timestamp)>,
) -> ScriptInvocation<'static> {
    let mut call = DROP_SCRIPT.key(connector_key);
    if let Some(entry) = entry {
        call.key(user_key(entry.user));
    }
    call.arg(entry.map_or(BLOCKED, |entry| entry.token.as_str())).arg(start.timestamp());
    if let Some((end, lapses)) = block {
        let (from, to) = (start.timestamp(), end.timestamp());
        call.arg(format!("{from} {to} {} {BLOCKED} -;", lapses.timestamp_millis()));
    }
    call
}

/// Whose a connector's entry is.
pub(crate) struct Entry {
    pub(crate) token: HoldToken,
    pub(crate) user: UserId,
}

/// The entries that a connector's text tells; of no block.
pub(crate) fn entries(text: &str) -> impl Iterator<Item = Entry> {
    text.split(';').filter_map(|entry| {
        let mut words = entry.split(' ').skip(3);
        Some(Entry { token: words.next()?.parse().ok()?, user: words.next()?.parse().ok()? })
    })
}

/// A connector's text as calendars have it.
pub(crate) fn held(text: &str) -> impl Iterator<Item = Held> {
    text.split(';').filter_map(|entry| {
        let mut words = entry.split(' ');
        let (start, end) = (moment(words.next()?.parse().ok()?)?, moment(words.next()?.parse().ok()?)?);
        let Minutes(from, to) = Minutes::touched(start, end);
        let lapses = words.next()?.parse().ok()?;
        Some(Held { from, to, lapses, user: words.nth(1)?.parse().ok() })
    })
}

/// The holds that a user's text tells.
pub(crate) fn holds_of(user: UserId, text: &str) -> impl Iterator<Item = Hold> {
    text.split(';').filter_map(move |entry| {
        let mut words = entry.split(' ');
        let (token, slot, lapses) = (words.next()?, words.next()?, words.next()?);
        let mut parts = slot.split('/');
        Some(Hold {
            token: token.parse().ok()?,
            user_id: user,
            station_id: parts.next()?.parse().ok()?,
            connector_id: parts.next()?.parse().ok()?,
            start_ts: moment(parts.next()?.parse().ok()?)?,
            end_ts: moment(parts.next()?.parse().ok()?)?,
            expires_at: chrono::DateTime::from_timestamp_millis(lapses.parse().ok()?)?,
        })
    })
}
