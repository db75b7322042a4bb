//! Publishes what the outbox holds and the bus does not know: the second half of at-least-once.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use shared::{Backlog, Failure, Invocation, Metric, Metrics, Outbox, Relayed};
use tracing::warn;

/// Whoever wrote an event publishes it at once; the relay leaves it to them for so long.
const AFTER_SECONDS: i64 = 5;
/// Events a round: one read, ten calls to the bus, one mark.
const BATCH: usize = 100;
/// No round is begun so close to the deadline.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// Nothing is asked for: a run always does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayRequest {}

/// What a run did.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct RelayReport {
    /// Events published.
    pub relayed: usize,
}

/// Publishes until nothing is left, the bus takes no more, or the time is nearly up.
pub async fn relay(outbox: &Outbox, invocation: Invocation) -> Result<RelayReport, Failure> {
    // Before the round: the alarm is on how long events had to wait for one, and on those that no round gets rid of.
    match outbox.backlog().await {
        Ok(Backlog { unsent, oldest_age_seconds }) => Metrics::of_function()
            .add(Metric::UnsentOutbox, unsent)
            .add(Metric::OldestUnsentOutboxAge, oldest_age_seconds)
            .emit(),
        Err(error) => warn!(cause = %error, "the outbox's age is not known this time"),
    }
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let round = async || Ok(outbox.relay(AFTER_SECONDS, limit).await?);
    let has_time = || chrono::Utc::now() + MARGIN < invocation.deadline;
    drain(round, has_time).await
}

async fn drain(
    round: impl AsyncFn() -> Result<Relayed, Failure>,
    has_time: impl Fn() -> bool,
) -> Result<RelayReport, Failure> {
    let mut relayed = 0;
    loop {
        let Relayed { found, published } = round().await?;
        relayed += published;
        if found > 0 && published == 0 {
            // Faults fail the invocation, so that the alarm on it fires.
            return Err(Failure::fault(format!(
                "the bus took none of {found} events; {relayed} were relayed before"
            )));
        }
        if published < found {
            warn!(refused = found - published, "some events stay unpublished");
        }
        if found < BATCH || published < found || !has_time() {
            return Ok(RelayReport { relayed });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::cell::RefCell;

    use super::*;

    /// Drains an outbox of `held` events on a bus that takes `taken` a round, with time for `rounds`.
    async fn run(held: usize, taken: usize, rounds: usize) -> (Result<RelayReport, Failure>, usize) {
        let (left, done) = (RefCell::new(held), RefCell::new(0));
        let round = async || {
            let mut left = left.borrow_mut();
            *done.borrow_mut() += 1;
            let found = (*left).min(BATCH);
            let published = found.min(taken);
            *left -= published;
            Ok(Relayed { found, published })
        };
        let report = drain(round, || *done.borrow() < rounds).await;
        (report, left.into_inner())
    }

    #[tokio::test]
    async fn everything_goes_out_in_as_many_rounds_as_it_takes() {
        let (report, left) = run(250, BATCH, 99).await;
        assert_eq!(report.unwrap(), RelayReport { relayed: 250 });
        assert_eq!(left, 0);
        assert_eq!(run(0, BATCH, 99).await.0.unwrap(), RelayReport { relayed: 0 });
    }

    #[tokio::test]
    async fn a_run_ends_before_its_deadline_and_the_next_one_goes_on() {
        let (report, left) = run(1000, BATCH, 3).await;
        assert_eq!(report.unwrap(), RelayReport { relayed: 300 });
        assert_eq!(left, 700);
    }

    #[tokio::test]
    async fn a_bus_that_takes_nothing_fails_the_run_instead_of_spinning() {
        assert!(run(250, 0, 99).await.0.is_err());
    }

    #[tokio::test]
    async fn an_event_that_the_bus_never_takes_does_not_make_a_run_spin() {
        let (report, left) = run(250, 90, 99).await;
        assert_eq!(report.unwrap(), RelayReport { relayed: 90 });
        assert_eq!(left, 160);
    }
}
