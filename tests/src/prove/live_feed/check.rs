//! What must be true of what the clients were told, by the events that the database holds.
//!
//! Of one connector the feed tells one update at a time, in the order of the reporters' clocks, and drops what a newer
//! one has overtaken. So all who heard a newer update, or could have, can have no older one on its way any more: that is
//! when the telling of the older one is known to be over, by the clock of the clients.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::listener::{Heard, Stay, Visit};
use super::reports::Connector;
use crate::Result;
use crate::prove::database::Database;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Updates of all connectors.
    pub(super) updates: usize,
    /// Those that nobody was told of, since a newer one was told before.
    pub(super) overtaken: usize,
    /// Who had to hear what: each pair once.
    pub(super) due: usize,
    /// Pairs that were neither due nor forbidden: told while somebody came or went.
    pub(super) in_flight: usize,
    /// From the change to the client, of all that was heard, shortest first.
    pub(super) delays: Vec<TimeDelta>,
}

/// A connector's change, as its event tells it.
#[derive(Debug)]
pub(super) struct Change {
    station: Uuid,
    word: &'static str,
    /// By the reporter's clock; no two of a connector have the same.
    pub(super) updated_at: i64,
    /// By ours.
    told_at: DateTime<Utc>,
    /// When the first client heard of it.
    heard_at: Option<DateTime<Utc>>,
}

/// Every connector's changes, oldest first.
pub(super) type Changes = HashMap<Uuid, Vec<Change>>;

/// What was reported of these connectors since they were set up. Fails when an older report followed a newer one.
pub(super) async fn changes(database: &Database, connectors: &[Connector]) -> Result<Changes> {
    let ours: HashSet<_> = connectors.iter().map(|connector| connector.id).collect();
    let mut changes = Changes::new();
    let events = database.rows(EVENTS).await?;
    for event in &events {
        let connector: Uuid = event.try_get(0)?;
        if !ours.contains(&connector) {
            continue;
        }
        let (at, told_at): (DateTime<Utc>, DateTime<Utc>) = (event.try_get(2)?, event.try_get(3)?);
        let change = Change {
            station: event.try_get(1)?,
            word: word(event.try_get(4)?)?,
            updated_at: at.timestamp(),
            told_at,
            heard_at: None,
        };
        let before = changes.entry(connector).or_default();
        if before.last().is_some_and(|last: &Change| last.updated_at >= change.updated_at) {
            return Err(format!("an older report of {connector} overwrote a newer one: {change:?}").into());
        }
        before.push(change);
    }
    Ok(changes)
}

/// Fails when a connector does not show what was reported of it last.
pub(super) async fn shown(database: &Database, last: &HashMap<Uuid, &'static str>) -> Result<()> {
    for row in database.rows("SELECT id, status FROM connectors").await? {
        let (id, status): (Uuid, &str) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(last) = last.get(&id)
            && word(status)? != *last
        {
            return Err(format!("connector {id} shows {status}, and {last} was reported last").into());
        }
    }
    Ok(())
}

/// Fails on the first client who heard what it should not, or did not hear what it should, or in another order.
pub(super) fn all_and_only(mut changes: Changes, clients: &[Vec<Visit>]) -> Result<Told> {
    let heard = |clients: &[Vec<Visit>]| -> Vec<Heard> {
        clients.iter().flatten().flat_map(|visit| visit.heard.iter().cloned()).collect()
    };
    for heard in heard(clients) {
        let change = find(&changes, &heard)?;
        if let Some(change) = changes.get_mut(&heard.connector).and_then(|changes| changes.get_mut(change)) {
            let first = change.heard_at.get_or_insert(heard.at);
            *first = heard.at.min(*first);
        }
    }
    let mut told = Told { updates: changes.values().map(Vec::len).sum(), ..Told::default() };
    for (connector, changes) in &changes {
        told.overtaken += changes.iter().filter(|change| change.heard_at.is_none()).count();
        if changes.last().is_some_and(|newest| newest.heard_at.is_none()) {
            return Err(format!("nobody heard the newest of connector {connector}").into());
        }
    }
    for (client, visits) in clients.iter().enumerate() {
        in_order(&changes, visits).map_err(|error| format!("client {client}: {error}"))?;
        for visit in visits {
            judge(&changes, visit, &mut told).map_err(|error| format!("client {client}: {error}"))?;
        }
    }
    told.delays.sort();
    Ok(told)
}

/// Which of its connector's changes it is.
fn find(changes: &Changes, heard: &Heard) -> Result<usize> {
    let unheard_of = || format!("{heard:?} never happened");
    let of = changes.get(&heard.connector).ok_or_else(unheard_of)?;
    let index =
        of.binary_search_by_key(&heard.updated_at, |change| change.updated_at).map_err(|_| unheard_of())?;
    let change = &of[index];
    if change.station == heard.station && change.word == heard.word {
        Ok(index)
    } else {
        Err(format!("{heard:?} is told of {change:?}").into())
    }
}

/// No update twice, and none behind a newer one of its connector.
fn in_order(changes: &Changes, visits: &[Visit]) -> Result<()> {
    let mut newest = HashMap::new();
    for heard in visits.iter().flat_map(|visit| &visit.heard) {
        let index = find(changes, heard)?;
        if let Some(before) = newest.insert(heard.connector, index)
            && before >= index
        {
            return Err(format!("{heard:?} came again, or behind a newer one").into());
        }
    }
    Ok(())
}

fn judge(changes: &Changes, visit: &Visit, told: &mut Told) -> Result<()> {
    let mut heard = HashSet::new();
    for told_of in &visit.heard {
        let index = find(changes, told_of)?;
        let (of, change) = (&changes[&told_of.connector], &changes[&told_of.connector][index]);
        let may_hear = |stay: &Stay| {
            stay.station == change.station
                && stay.gone.is_none_or(|gone| change.told_at <= gone)
                && over(of, index).is_none_or(|over| stay.asked <= over)
        };
        if !visit.stays.iter().any(may_hear) {
            return Err(format!("{told_of:?} was not for it: {change:?}, {:?}", visit.stays).into());
        }
        heard.insert((told_of.connector, index));
        told.delays.push(told_of.at - change.told_at);
    }
    let mut due = 0;
    for (connector, of) in changes {
        for (index, change) in of.iter().enumerate().filter(|(_, change)| change.heard_at.is_some()) {
            let must_hear = |stay: &Stay| {
                stay.station == change.station
                    && stay.subscribed < change.told_at
                    && stay.leaving.is_none_or(|leaving| over(of, index).is_some_and(|over| over < leaving))
            };
            if visit.stays.iter().any(must_hear) {
                due += 1;
                if !heard.contains(&(*connector, index)) {
                    return Err(format!("of {connector} it missed {change:?}, {:?}", visit.stays).into());
                }
            }
        }
    }
    told.due += due;
    told.in_flight += heard.len() - due;
    Ok(())
}

/// When at the latest everybody had been told whom that change was for: somebody heard a newer one. None: perhaps never.
fn over(of: &[Change], index: usize) -> Option<DateTime<Utc>> {
    of[index + 1..].iter().filter_map(|newer| newer.heard_at).min()
}

/// The feed's word for a status.
fn word(status: &str) -> Result<&'static str> {
    Ok(match status {
        "AVAILABLE" => "AVAILABLE",
        "PREPARING" | "CHARGING" | "SUSPENDED" | "FINISHING" => "OCCUPIED",
        "RESERVED" => "RESERVED",
        "UNAVAILABLE" => "MAINTENANCE",
        "UNKNOWN" => "OFFLINE",
        "FAULTED" => "FAULTED",
        other => return Err(format!("no status: {}", Value::from(other)).into()),
    })
}

/// In the order in which they were written; without those of connectors that were set up.
const EVENTS: &str = "
    SELECT (payload->>'connectorId')::uuid, (payload->>'stationId')::uuid, (payload->>'at')::timestamptz,
           (payload->>'timestamp')::timestamptz, payload->>'status'
    FROM outbox
    WHERE event_type = 'CONNECTOR_STATUS_CHANGED' AND payload->>'previousStatus' IS NOT NULL
    ORDER BY position";

#[cfg(test)]
mod tests;
