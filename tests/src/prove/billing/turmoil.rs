//! What goes wrong while sessions are billed: consumers die at any of their calls, the database and the bus refuse,
//! are slow, lose answers, and now and then are gone for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::prove::dice::Dice;
use crate::prove::faults::{Call, Fate};

/// Calls that an outage lasts for: longer than the patience of an SDK, so that the functions themselves fail.
const OUTAGE: u64 = 12;

pub(super) struct Turmoil {
    dice: Arc<Dice>,
    kills: AtomicU64,
    /// In millionths: the chance of a call to be its caller's last.
    share: AtomicU64,
    outage: AtomicU64,
    /// Of all calls, this share meets with a fault, and a thirtieth of it begins an outage.
    faults: f64,
}

impl Turmoil {
    /// So many kills, at `share` of the calls, with faults at others until all are done: what fails later and later is
    /// tried again later and later, for minutes.
    pub(super) fn new(dice: &Arc<Dice>, kills: u64, share: f64, faults: f64) -> Arc<Self> {
        let turmoil = Self {
            dice: Arc::clone(dice),
            kills: AtomicU64::default(),
            share: AtomicU64::default(),
            outage: AtomicU64::default(),
            faults,
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
        let is_consumer = call.caller.as_ref().is_some_and(|caller| caller.function == "bill-session");
        let share = self.share.load(Ordering::Relaxed) as f64 / 1e6;
        if is_consumer && self.dice.chance(share) && take(&self.kills) {
            return self.dice.one_of(&Fate::DEATHS);
        }
        if self.kills.load(Ordering::Relaxed) == 0 {
            return Fate::Pass;
        }
        if take(&self.outage) {
            return Fate::Refuse;
        }
        if self.dice.chance(self.faults / 30.0) {
            self.outage.store(OUTAGE, Ordering::Relaxed);
        }
        if !self.dice.chance(self.faults) {
            return Fate::Pass;
        }
        let some = u16::try_from(self.dice.below(1 << 10)).unwrap_or_default();
        let while_ = Duration::from_millis(u64::try_from(self.dice.below(60)).unwrap_or_default());
        self.dice.one_of(&[
            Fate::Refuse,
            Fate::Unavailable,
            Fate::Throttle,
            Fate::LoseAnswer,
            Fate::LoseAnswer,
            Fate::Delay(while_),
            Fate::TakeSome(some),
        ])
    }
}

/// One less; false if there was none.
fn take(count: &AtomicU64) -> bool {
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
