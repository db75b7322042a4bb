//! What clients and reporters know of each other: how far the reports are, how many have heard what, which sockets are
//! open.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::Result;

/// Requests and farewells at a time: a machine of a few cores runs no more of a function than that.
const AT_ONCE: usize = 10;

pub(super) struct Board {
    /// How many steady clients have heard the update of a connector that has that time.
    heard: Mutex<HashMap<(Uuid, i64), usize>>,
    open: Mutex<HashSet<String>>,
    /// Reports whose every listener was waited for.
    heard_out: AtomicUsize,
    turns: Semaphore,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            heard: Mutex::default(),
            open: Mutex::default(),
            heard_out: AtomicUsize::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl Board {
    /// Waits until it is one's turn, which lasts while this is held.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        Ok(self.turns.acquire().await?)
    }

    pub(super) fn heard(&self, connector: Uuid, updated_at: i64) {
        *lock(&self.heard).entry((connector, updated_at)).or_default() += 1;
    }

    /// By how many.
    pub(super) fn heard_by(&self, connector: Uuid, updated_at: i64) -> usize {
        lock(&self.heard).get(&(connector, updated_at)).copied().unwrap_or_default()
    }

    pub(super) fn opened(&self, socket: &str) {
        lock(&self.open).insert(socket.to_owned());
    }

    pub(super) fn closed(&self, socket: &str) {
        lock(&self.open).remove(socket);
    }

    pub(super) fn is_open(&self, socket: &str) -> bool {
        lock(&self.open).contains(socket)
    }

    pub(super) fn one_was_heard_out(&self) {
        self.heard_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn heard_out(&self) -> usize {
        self.heard_out.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
