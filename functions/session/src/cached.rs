//! Open sessions in Redis, `session:{id}` for an hour, written through by whoever changes one. What chargers report is
//! written by `refresh-cache`, by the events of it. Redis may be gone, or not be there at all: nothing depends on it.

use std::time::Duration;

use chrono::SecondsFormat;
use shared::{Cache, SessionId};

use crate::Session;

/// How long a session is kept, or that it is over.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What is cached of sessions.
pub(crate) struct Cached {
    cache: Option<Cache>,
}

impl Cached {
    /// In this Redis, or nowhere.
    pub(crate) fn new(cache: Option<Cache>) -> Self {
        Self { cache }
    }

    /// An open session, whoever's it is.
    pub(crate) async fn find(&self, id: SessionId) -> Option<Session> {
        let found: Option<Session> = self.cache.as_ref()?.get(&key(id)).await;
        // An answer about somebody else's key would be a leak.
        found.filter(|session| session.id == id)
    }

    /// Keeps an open session, forgets one that is over; a newer state of it stands.
    pub(crate) async fn put(&self, session: &Session) {
        let Some(cache) = &self.cache else { return };
        // No two states of a session have the same.
        let version = session.updated_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let kept = (!session.status.is_over()).then_some(session);
        cache.replace(&key(session.id), &version, kept, LIFETIME).await;
    }
}

fn key(id: SessionId) -> String {
    format!("session:{id}")
}
