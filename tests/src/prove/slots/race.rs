//! The course of the race: its turns, at each of which Redis dies or comes back; who waits for one; and what is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::Result;

/// Requests of one kind at a time: fewer than the stack runs processes of a function, and as many as two cores bear.
const AT_ONCE: usize = 10;

/// Shared by all.
pub(super) struct Race {
    turns: usize,
    turn: watch::Sender<usize>,
    field: Mutex<Field>,
    /// Requests that were answered.
    pub(super) answered: AtomicUsize,
    gates: BTreeMap<&'static str, Semaphore>,
    tally: Mutex<BTreeMap<&'static str, usize>>,
}

#[derive(Default)]
struct Field {
    turn: usize,
    /// Clients that neither wait nor are done.
    running: usize,
    /// How many wait for which turn.
    waiting: BTreeMap<usize, usize>,
    /// Tokens of those who hold a slot and wait.
    held: BTreeSet<String>,
}

impl Race {
    /// Of so many turns. A client begins in one of `waves`; `gates` are the names of [`Self::pass`].
    pub(super) fn new(turns: usize, waves: impl Iterator<Item = usize>, gates: &[&'static str]) -> Self {
        let mut field = Field::default();
        for wave in waves {
            *field.waiting.entry(wave).or_default() += 1;
        }
        field.running = field.waiting.remove(&0).unwrap_or_default();
        Self {
            turns,
            turn: watch::Sender::new(0),
            field: Mutex::new(field),
            answered: AtomicUsize::default(),
            gates: gates.iter().map(|gate| (*gate, Semaphore::new(AT_ONCE))).collect(),
            tally: Mutex::default(),
        }
    }

    /// How many turns there are.
    pub(super) fn turns(&self) -> usize {
        self.turns
    }

    fn field(&self) -> MutexGuard<'_, Field> {
        self.field.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now: Redis runs in even turns.
    pub(super) fn now(&self) -> usize {
        self.field().turn
    }

    /// Everybody who waits for the next turn goes on.
    pub(super) fn next(&self) {
        let mut field = self.field();
        field.turn += 1;
        let turn = field.turn;
        field.running += field.waiting.remove(&turn).unwrap_or_default();
        self.turn.send_replace(turn);
    }

    /// Waits for a client's first turn.
    pub(super) async fn begin(&self, wave: usize) -> Result<()> {
        self.turn.subscribe().wait_for(|turn| *turn >= wave).await?;
        Ok(())
    }

    /// Lets so many turns pass, as far as there are so many, while `token` is held.
    pub(super) async fn let_pass(&self, turns: usize, token: &str) -> Result<()> {
        let until = {
            let mut field = self.field();
            let until = (field.turn + turns).min(self.turns - 1);
            if until == field.turn {
                return Ok(());
            }
            field.running -= 1;
            *field.waiting.entry(until).or_default() += 1;
            field.held.insert(token.to_owned());
            until
        };
        self.turn.subscribe().wait_for(|turn| *turn >= until).await?;
        self.field().held.remove(token);
        Ok(())
    }

    /// A client is done.
    pub(super) fn end(&self) {
        self.field().running -= 1;
    }

    /// Whether everybody waits for a turn or is done.
    pub(super) fn rests(&self) -> bool {
        self.field().running == 0
    }

    /// Tokens of those who hold a slot and wait.
    pub(super) fn held(&self) -> Vec<String> {
        self.field().held.iter().cloned().collect()
    }

    /// Waits until there is room for a request of that kind.
    pub(super) async fn pass(&self, gate: &'static str) -> Result<SemaphorePermit<'_>> {
        Ok(self.gates.get(gate).ok_or_else(|| format!("no gate {gate}"))?.acquire().await?)
    }

    /// One more of these.
    pub(super) fn count(&self, what: &'static str) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// How many there were.
    pub(super) fn counted(&self, what: &str) -> usize {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).get(what).copied().unwrap_or_default()
    }

    /// Requests that were answered until now.
    pub(super) fn requests(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}
