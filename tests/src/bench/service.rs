//! One door under load: what it sustains, how long its answers take at half of that, and what each costs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::figure::{Figure, Tell};
use super::load::Calls;
use super::processor::{Cost, Meter};
use super::sample::Sample;
use crate::stack::Stack;
use crate::{Result, bus, wait};

/// As many as the other figures of the front door have.
const CONNECTIONS: usize = 16;
/// What a flood leaves on the bus takes a while.
const PATIENCE: Duration = Duration::from_secs(300);

/// What operations cost, by their names.
pub type Costs = BTreeMap<String, Cost>;

/// What a door came to.
pub struct Served {
    /// Answers a second, as fast as they come.
    pub sustained: f64,
    /// Each answer's delay at half of that.
    pub delays: Sample,
    /// Answers that were not good, under either load.
    pub failed: usize,
    /// The first of those.
    pub failure: Option<String>,
    /// What one answer cost at half load, and all that followed from it.
    pub cost: Cost,
}

/// Floods the door for `time`, then asks it half as much for as long again.
pub async fn measure(stack: &Stack, calls: &Calls<'_>, time: Duration) -> Result<Served> {
    let warm = calls.flood(CONNECTIONS, Duration::from_secs(1)).await?;
    let flood = calls.flood(CONNECTIONS, time).await?;
    quiet(stack).await?;
    let (before, made) = (Meter::read(stack).await?, calls.made());
    let half = calls.pace(CONNECTIONS, flood.rate / 2.0, time).await?;
    quiet(stack).await?;
    let cost = Meter::read(stack).await?.since(&before, stack, calls.made() - made);
    Ok(Served {
        sustained: flood.rate,
        delays: half.delays,
        failed: warm.failed + flood.failed + half.failed,
        failure: warm.failure.or(flood.failure).or(half.failure),
        cost,
    })
}

impl Served {
    /// Its figures: the rate, p50 and p99 with its `goal` in milliseconds, failed answers, and what one cost.
    pub fn tell(&self, name: &str, goal: f64, tell: Tell<'_>) {
        tell(Figure::reported(format!("{name} through the front door"), self.sustained, "req/s"));
        tell(Figure::reported("  p50 at half that load", self.delays.percentile_ms(50.0), "ms"));
        tell(Figure::below("  p99 at half that load", self.delays.percentile_ms(99.0), "ms", goal));
        tell(Figure::at_most("  failed answers", self.failed as f64, "", 0.0));
        if let Some(failure) = &self.failure {
            println!("  the first of them: {failure}");
        }
        tell_cost(&self.cost, tell);
    }
}

/// The processor time that one operation takes.
pub fn tell_cost(cost: &Cost, tell: Tell<'_>) {
    tell(Figure::reported("  processor time of functions, each", cost.functions_ms(), "ms"));
    tell(Figure::reported("  of PostgreSQL", cost.postgres_ms, "ms"));
    tell(Figure::reported("  of Redis", cost.redis_ms, "ms"));
}

/// Waits until nothing is on its way on the bus.
pub async fn quiet(stack: &Stack) -> Result<()> {
    wait::until("the bus to be quiet", PATIENCE, async || {
        let busy = bus::unpublished(stack).await? > 0
            || bus::depths(stack)
                .await?
                .iter()
                .any(|depth| depth.messages > 0 && !depth.queue.contains("DeadLetters"));
        Ok((!busy).then_some(()))
    })
    .await
}
