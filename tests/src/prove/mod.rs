//! The proofs of `make prove`: each tries to lose an event, to charge somebody twice or to see what is somebody
//! else's, on a stack of its own, and tells with a figure how it failed to.

mod billing;
mod cast;
mod database;
mod dice;
mod faults;
mod hostile_graphql;
mod idempotency;
mod live_feed;
mod matrix;
mod network;
mod pans;
mod place;
mod poison;
mod processes;
mod publish;
mod put_events;
mod queues;
mod refresh;
mod rest_contract;
mod slots;
mod tariffs;
mod tokens;
mod webhooks;

use std::time::Duration;

use crate::Result;
pub use dice::seed;
pub use place::Place;

/// A proof that held.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Its name, as `--only` takes it.
    pub name: &'static str,
    /// How much was tried, in a few words.
    pub figure: String,
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// What a test has time for.
    Small,
    /// What was promised.
    Full,
}

/// The proofs' names, in their order.
pub const NAMES: [&str; 14] = [
    "billing",
    "publish",
    "poison",
    "idempotency",
    "refresh",
    "tokens",
    "hostile-graphql",
    "tariffs",
    "matrix",
    "pans",
    "live-feed",
    "webhooks",
    "slots",
    "rest-contract",
];

/// Runs the proof of that name.
pub async fn run(name: &str, size: Size, place: &Place, seed: u64) -> Result<Proof> {
    let proven = match name {
        "billing" => billing::run(size, place, seed).await,
        "publish" => publish::run(size, place, seed).await,
        "poison" => poison::run(size, place, seed).await,
        "idempotency" => idempotency::run(size, place).await,
        "refresh" => refresh::run(size, place).await,
        "tokens" => tokens::run(place).await,
        "hostile-graphql" => hostile_graphql::run(size, place).await,
        "tariffs" => tariffs::run(size, place, seed).await,
        "matrix" => matrix::run(size, place).await,
        "pans" => pans::run(size, place).await,
        "live-feed" => live_feed::run(size, place, seed).await,
        "webhooks" => webhooks::run(size, place, seed).await,
        "slots" => slots::run(size, place, seed).await,
        "rest-contract" => rest_contract::run(size, place, seed).await,
        _ => return Err(format!("there is no proof {name}, but {}", NAMES.join(", ")).into()),
    };
    proven.map_err(|error| format!("{name} (PROVE_SEED={seed}): {error}").into())
}

impl Size {
    /// One of two figures.
    fn of<T>(self, small: T, full: T) -> T {
        match self {
            Self::Small => small,
            Self::Full => full,
        }
    }

    /// How long a condition of the whole proof is waited for.
    fn patience(self) -> Duration {
        self.of(Duration::from_secs(90), Duration::from_secs(900))
    }
}
