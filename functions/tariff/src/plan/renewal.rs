//! The turn of the month: each flat rate goes on, waits for its money, or ends.

use chrono::{Months, TimeDelta};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    CorrelationId, Failure, Invocation, MoneyError, Outbox, SubscriptionId, SubscriptionPeriodId, Timestamp,
    UserId,
};
use tracing::warn;
use uuid::Uuid;

use super::subscription::period_and_invoice;
use super::{Month, Plan, SubscriptionStatus};
use crate::store;

/// A month is begun so long before it starts, so that a session that starts with it is covered.
const AHEAD: TimeDelta = TimeDelta::minutes(10);
/// How often it is seen to whether an overdue invoice was paid.
const PAST_DUE_EACH: TimeDelta = TimeDelta::minutes(30);
/// Subscriptions read at once.
const BATCH: usize = 100;
/// Statements under way at once.
const AT_ONCE: usize = 8;
/// No batch is begun so close to the deadline.
const MARGIN: TimeDelta = TimeDelta::seconds(20);

/// Nothing is asked for: a run always does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {}

/// What a run did.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewed {
    /// Went on with the next month.
    pub renewed: usize,
    /// Are not paid for and wait.
    pub past_due: usize,
    /// Ended.
    pub ended: usize,
    /// Were changed by somebody else meanwhile, or had nothing to be done: for the next run.
    pub left: usize,
}

/// A subscription as it was read, as `subscriptions_turning` of migration 0008 gives it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    pub(crate) id: SubscriptionId,
    pub(crate) user_id: UserId,
    pub(crate) status: SubscriptionStatus,
    #[serde(skip_serializing)]
    pub(crate) turns_at: Timestamp,
    /// The latest.
    pub(crate) period_id: SubscriptionPeriodId,
    #[serde(skip_serializing)]
    pub(crate) period_end: Timestamp,
    /// Whether any of its invoices is.
    pub(crate) is_overdue: bool,
    #[serde(skip_serializing)]
    pub(crate) plan: Plan,
}

/// Where the list of subscriptions continues.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) turns_at: Timestamp,
    pub(crate) id: SubscriptionId,
}

/// What to do with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Renew(Month),
    PastDue { turns_at: Timestamp },
    End { at: Timestamp, reason: &'static str },
    Wait { turns_at: Timestamp },
}

/// What was done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Turned {
    Renew,
    PastDue,
    End,
    Wait,
    Changed,
}

/// When a subscription with this month as its latest has to be looked at.
pub(super) fn turns_at(month: &Month) -> Timestamp {
    month.ends_at - AHEAD
}

/// A cancelled flat rate ends with its period. One that is paid for goes on with the next month; one with an overdue
/// invoice waits, without a period that nobody pays for, and ends after a month of that. Whoever pays meanwhile goes
/// on from then, in proportion; and nobody pays for a month that is over.
fn next_step(seen: &Seen, now: Timestamp) -> Step {
    let given_up_at = seen.period_end + Months::new(1);
    match seen.status {
        SubscriptionStatus::Ended => Step::Wait { turns_at: seen.turns_at },
        SubscriptionStatus::Cancelled if seen.period_end <= now => {
            Step::End { at: seen.period_end, reason: "CANCELLED" }
        }
        SubscriptionStatus::Cancelled => Step::Wait { turns_at: seen.period_end },
        _ if seen.period_end - AHEAD > now => Step::Wait { turns_at: seen.period_end - AHEAD },
        _ if seen.is_overdue && given_up_at <= now => Step::End { at: now, reason: "UNPAID" },
        _ if seen.is_overdue => Step::PastDue { turns_at: now + PAST_DUE_EACH },
        SubscriptionStatus::Active if now < given_up_at => Step::Renew(Month::beginning(seen.period_end)),
        _ => Step::Renew(Month::beginning(now.max(seen.period_end))),
    }
}

impl Step {
    /// As `turn_subscription` of migration 0008 reads it.
    fn fields(self, seen: &Seen, now: Timestamp) -> Result<Value, MoneyError> {
        Ok(match self {
            Self::Renew(month) => {
                let (period, invoice) = period_and_invoice(seen.id, seen.user_id, &seen.plan, &month, now)?;
                json!({ "kind": "RENEW", "turnsAt": turns_at(&month), "period": period, "invoice": invoice })
            }
            Self::PastDue { turns_at } => json!({ "kind": "PAST_DUE", "turnsAt": turns_at }),
            Self::End { at, reason } => json!({ "kind": "END", "at": at, "reason": reason }),
            Self::Wait { turns_at } => json!({ "kind": "WAIT", "turnsAt": turns_at }),
        })
    }
}

/// Turns all subscriptions that are due, or as many as there is time for; the next run goes on. Harmless to repeat,
/// also at the same time. One that cannot be turned stops no other, but fails the run in the end.
pub async fn renew_subscriptions(outbox: &Outbox, invocation: Invocation) -> Result<Renewed, Failure> {
    let now = invocation.at;
    let mut done = Renewed::default();
    let mut failed = 0_usize;
    let mut after = Position { turns_at: Timestamp::UNIX_EPOCH, id: Uuid::nil().into() };
    loop {
        let batch = store::turning(outbox.database(), now, after, BATCH).await?;
        let is_last = batch.len() < BATCH;
        if let Some(last) = batch.last() {
            after = Position { turns_at: last.turns_at, id: last.id };
        }
        let mut turned = futures::stream::iter(batch.into_iter().map(|seen| turn(outbox, seen, now)))
            .buffer_unordered(AT_ONCE);
        while let Some(result) = turned.next().await {
            match result {
                Ok(Turned::Renew) => done.renewed += 1,
                Ok(Turned::PastDue) => done.past_due += 1,
                Ok(Turned::End) => done.ended += 1,
                Ok(Turned::Wait | Turned::Changed) => done.left += 1,
                Err(_) => failed += 1,
            }
        }
        if is_last || chrono::Utc::now() + MARGIN >= invocation.deadline {
            break;
        }
    }
    // A failed run is tried again, and an alarm tells of it.
    if failed > 0 {
        Err(Failure::fault(format!("{failed} could not be turned; of others {done:?}")))
    } else {
        Ok(done)
    }
}

async fn turn(outbox: &Outbox, seen: Seen, now: Timestamp) -> Result<Turned, Failure> {
    let step = next_step(&seen, now).fields(&seen, now).map_err(Failure::fault);
    let turned = match step {
        Ok(step) => store::turn(outbox, &seen, step, now, CorrelationId::new()).await,
        Err(failure) => Err(failure),
    };
    turned.inspect_err(|failure| {
        warn!(subscription_id = %seen.id, cause = failure.causes(), "a subscription could not be turned");
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A flat rate whose latest period was November.
    fn seen(status: &str, is_overdue: bool) -> Seen {
        let plan = json!({
            "id": "018f4c6e-0000-7000-8000-000000000001", "name": "JUCR Flat",
            "monthlyPrice": { "amount": "49.0000", "currency": "EUR" }, "fairUseKWh": "300", "perKWhBeyond": "0.39",
            "vatRate": "0.19", "createdAt": "2026-01-01T00:00:00.000Z", "retiredAt": "2026-02-01T00:00:00.000Z",
        });
        serde_json::from_value(json!({
            "id": "018f4c6e-0000-7000-8000-000000000002", "userId": "018f4c6e-0000-7000-8000-000000000003",
            "status": status, "turnsAt": "2026-11-30T23:50:00.000Z",
            "periodId": "018f4c6e-0000-7000-8000-000000000004", "periodEnd": "2026-12-01T00:00:00.000Z",
            "isOverdue": is_overdue, "plan": plan,
        }))
        .unwrap()
    }

    #[test]
    fn what_is_paid_for_goes_on_where_it_ended_just_before_and_late_alike() {
        for now in ["2026-11-30T23:50:00Z", "2026-12-01T00:00:00Z", "2026-12-31T23:00:00Z"] {
            let step = next_step(&seen("ACTIVE", false), at(now));
            assert_eq!(step, Step::Renew(Month::beginning(at("2026-12-01T00:00:00Z"))), "{now}");
        }
        let early = next_step(&seen("ACTIVE", false), at("2026-11-30T23:49:59Z"));
        assert_eq!(early, Step::Wait { turns_at: at("2026-11-30T23:50:00Z") });
    }

    #[test]
    fn a_month_that_is_over_is_not_charged() {
        let now = at("2027-01-05T08:00:00Z");
        assert_eq!(next_step(&seen("ACTIVE", false), now), Step::Renew(Month::beginning(now)));
    }

    #[test]
    fn what_is_overdue_waits_a_month_and_ends() {
        for status in ["ACTIVE", "PAST_DUE"] {
            let now = at("2026-12-31T23:30:00Z");
            let step = next_step(&seen(status, true), now);
            assert_eq!(step, Step::PastDue { turns_at: at("2027-01-01T00:00:00Z") });
            let now = at("2027-01-01T00:00:00Z");
            assert_eq!(next_step(&seen(status, true), now), Step::End { at: now, reason: "UNPAID" });
        }
    }

    #[test]
    fn whoever_pays_late_goes_on_from_then() {
        let now = at("2026-12-11T10:00:00Z");
        assert_eq!(next_step(&seen("PAST_DUE", false), now), Step::Renew(Month::beginning(now)));
        // Found overdue just before the month's turn, and paid before it.
        let now = at("2026-11-30T23:58:00Z");
        let month = Month::beginning(at("2026-12-01T00:00:00Z"));
        assert_eq!(next_step(&seen("PAST_DUE", false), now), Step::Renew(month));
    }

    #[test]
    fn what_is_cancelled_ends_with_its_period_paid_or_not() {
        for is_overdue in [false, true] {
            let before = next_step(&seen("CANCELLED", is_overdue), at("2026-11-30T23:55:00Z"));
            assert_eq!(before, Step::Wait { turns_at: at("2026-12-01T00:00:00Z") });
            let step = next_step(&seen("CANCELLED", is_overdue), at("2026-12-01T00:00:00Z"));
            assert_eq!(step, Step::End { at: at("2026-12-01T00:00:00Z"), reason: "CANCELLED" });
        }
    }
}
