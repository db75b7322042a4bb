//! Randomness with a seed that is told, so that a failure can be tried again.

use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Dice that many tasks throw.
#[derive(Debug)]
pub(super) struct Dice(Mutex<StdRng>);

/// The seed of this run: `PROVE_SEED`, or a new one.
pub fn seed() -> u64 {
    let told = std::env::var("PROVE_SEED").ok().and_then(|seed| seed.parse().ok());
    told.unwrap_or_else(|| rand::rng().random_range(0..1_000_000))
}

impl Dice {
    /// Dice that always fall the same way.
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Below `sides`.
    pub(super) fn below(&self, sides: usize) -> usize {
        self.with(|dice| dice.random_range(0..sides.max(1)))
    }

    /// True `share` of the time.
    pub(super) fn chance(&self, share: f64) -> bool {
        self.with(|dice| dice.random_bool(share))
    }

    /// One of these.
    pub(super) fn one_of<T: Clone>(&self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// In any order.
    pub(super) fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    fn with<T>(&self, throw: impl FnOnce(&mut StdRng) -> T) -> T {
        throw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
