//! Publishes what the outbox holds and the bus does not know: the second half of at-least-once.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use shared::{Backlog, Failure, Invocation, Metric, Metrics, Outbox, OutboxPlace, Relayed};
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

/// Publishes until nothing is left but what the bus refuses, the bus does not answer, or the time is nearly up.
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
    let round = async |after: &OutboxPlace| Ok(outbox.relay(AFTER_SECONDS, limit, after).await?);
    let has_time = || chrono::Utc::now() + MARGIN < invocation.deadline;
    drain(round, has_time).await
}

async fn drain(
    round: impl AsyncFn(&OutboxPlace) -> Result<Relayed, Failure>,
    has_time: impl Fn() -> bool,
) -> Result<RelayReport, Failure> {
    let (mut relayed, mut refused, mut took_none) = (0, 0, false);
    let mut after = OutboxPlace::default();
    loop {
        let Relayed { found, published, next } = round(&after).await?;
        relayed += published;
        refused += found - published;
        took_none |= found > 0 && published == 0;
        // What was refused is gone past, not waited for: it must not keep newer events from the bus.
        match next {
            Some(next) if has_time() => after = next,
            _ => break,
        }
    }
    if took_none {
        // Faults fail the invocation, so that the alarm on it fires.
        return Err(Failure::fault(format!(
            "the bus took none of a round's events; {refused} stay unpublished, {relayed} were relayed"
        )));
    }
    if refused > 0 {
        warn!(refused, "some events stay unpublished");
    }
    Ok(RelayReport { relayed })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::cell::RefCell;

    use super::*;

    /// Drains an outbox of `held` events on a bus that takes those it `takes`, with time for `rounds`; tells how many
    /// are left, and how many rounds there were.
    async fn run(
        held: usize,
        takes: impl Fn(usize) -> bool,
        rounds: usize,
    ) -> (Result<RelayReport, Failure>, usize, usize) {
        let (seen, left, done) = (RefCell::new(0), RefCell::new(held), RefCell::new(0));
        let round = async |_: &OutboxPlace| {
            *done.borrow_mut() += 1;
            let from = *seen.borrow();
            let found = (held - from).min(BATCH);
            *seen.borrow_mut() += found;
            let published = (from..from + found).filter(|event| takes(*event)).count();
            *left.borrow_mut() -= published;
            Ok(Relayed { found, published, next: (found > 0).then(OutboxPlace::default) })
        };
        let report = drain(round, || *done.borrow() < rounds).await;
        (report, left.into_inner(), done.into_inner())
    }

    #[tokio::test]
    async fn everything_goes_out_in_as_many_rounds_as_it_takes() {
        let (report, left, _) = run(250, |_| true, 99).await;
        assert_eq!(report.unwrap(), RelayReport { relayed: 250 });
        assert_eq!(left, 0);
        assert_eq!(run(0, |_| true, 99).await.0.unwrap(), RelayReport { relayed: 0 });
    }

    #[tokio::test]
    async fn a_run_ends_before_its_deadline_and_the_next_one_goes_on() {
        let (report, left, _) = run(1000, |_| true, 3).await;
        assert_eq!(report.unwrap(), RelayReport { relayed: 300 });
        assert_eq!(left, 700);
    }

    #[tokio::test]
    async fn a_bus_that_takes_nothing_fails_the_run_which_ends() {
        let (report, left, rounds) = run(250, |_| false, 99).await;
        assert!(report.is_err());
        assert_eq!((left, rounds), (250, 4));
    }

    #[tokio::test]
    async fn events_that_the_bus_never_takes_keep_no_others_back() {
        let (report, left, _) = run(250, |event| event % 10 > 0, 99).await;
        assert_eq!(report.unwrap(), RelayReport { relayed: 225 });
        assert_eq!(left, 25);
        // A whole round of them is still told, after the rest went out.
        let (report, left, _) = run(250, |event| event >= BATCH, 99).await;
        assert!(report.unwrap_err().causes().contains("100 stay unpublished, 150 were relayed"));
        assert_eq!(left, 100);
    }

    #[tokio::test]
    async fn a_bus_that_does_not_answer_is_not_asked_on() {
        let rounds = RefCell::new(0);
        let round = async |_: &OutboxPlace| {
            *rounds.borrow_mut() += 1;
            Ok(Relayed { found: BATCH, published: 0, next: None })
        };
        assert!(drain(round, || true).await.is_err());
        assert_eq!(rounds.into_inner(), 1);
    }
}
