//! What goes wrong while reports are processed: the consumer dies at any of its calls, and now and then hears no answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::prove::dice::Dice;
use crate::prove::faults::{Call, Fate};

/// Of the consumer's first calls, this share loses its answer: what is tried again later and later comes soon while it
/// was not tried often.
const LOST: f64 = 0.05;

pub(super) struct Turmoil {
    dice: Arc<Dice>,
    kills: AtomicU64,
    /// In millionths: the chance of a call to be its caller's last.
    share: AtomicU64,
    losses: AtomicU64,
}

impl Turmoil {
    /// So many kills, at `share` of the calls, and so many lost answers.
    pub(super) fn new(dice: &Arc<Dice>, kills: u64, share: f64, losses: u64) -> Arc<Self> {
        let turmoil = Self {
            dice: Arc::clone(dice),
            kills: AtomicU64::default(),
            share: AtomicU64::default(),
            losses: AtomicU64::new(losses),
        };
        turmoil.more(kills, share);
        Arc::new(turmoil)
    }

    /// From now on so many kills, at `share` of the calls.
    pub(super) fn more(&self, kills: u64, share: f64) {
        self.share.store((share.min(1.0) * 1e6) as u64, Ordering::Relaxed);
        self.kills.store(kills, Ordering::Relaxed);
    }

    pub(super) fn fate(&self, call: &Call) -> Fate {
        if call.caller.as_ref().is_none_or(|caller| caller.function != "process-vendor-report") {
            return Fate::Pass;
        }
        let share = self.share.load(Ordering::Relaxed) as f64 / 1e6;
        if self.dice.chance(share) && take(&self.kills) {
            return self.dice.one_of(&Fate::DEATHS);
        }
        if self.dice.chance(LOST) && take(&self.losses) { Fate::LoseAnswer } else { Fate::Pass }
    }
}

/// One less; false if there was none.
fn take(count: &AtomicU64) -> bool {
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
