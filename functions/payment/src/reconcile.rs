//! What no webhook ended: open payments and refunds are brought to what the provider says of them.

use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use shared::{Failure, Invocation};
use tokio::time::Instant;
use tracing::{Instrument, error, info_span, warn};

use crate::payment::Record;
use crate::refund::{RefundRecord, RefundStatus};
use crate::{Payments, store};

/// As many are claimed, and looked after at once.
const BATCH: i64 = 8;
/// Left for the last ones to come to an end: some answers of the provider.
const MARGIN: Duration = Duration::from_secs(45);

/// Nothing is asked for: a run does all there is to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileRequest {}

/// What a run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// Payments that are over now.
    pub payments_ended: u32,
    /// Payments that stay open, by the provider's word or for want of it.
    pub payments_open: u32,
    /// Refunds that are done now.
    pub refunds_ended: u32,
    /// Refunds that stay open.
    pub refunds_open: u32,
}

/// How looking after one went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looked {
    Ended,
    Open,
    /// No answer: neither will the next one get any.
    Unanswered,
}

/// Looks after all payments and refunds that are open for two minutes, until near the deadline. One that fails stops no
/// other.
pub async fn reconcile(
    payments: &Payments,
    invocation: Invocation,
    ReconcileRequest {}: ReconcileRequest,
) -> Result<Reconciled, Failure> {
    let began = Instant::now();
    let time = (invocation.deadline - invocation.at).to_std().unwrap_or_default();
    let until = began + time.saturating_sub(MARGIN);
    // A claim made late in a run is no older for that.
    let now = || invocation.at + began.elapsed();
    let database = payments.outbox.database();
    let mut report = Reconciled::default();
    store::forget_events(database, now()).await?;
    while Instant::now() < until {
        let open = store::claim_payments(database, now(), BATCH).await?;
        let look = async |payment: Record| {
            let span = info_span!("reconcile", payment_id = %payment.id);
            let driven = async {
                let driven = payments.drive(payment, now()).await;
                judge(driven.map(|driven| driven.payment.status.is_over()))
            };
            driven.instrument(span).await
        };
        let looked = join_all(open.into_iter().map(look)).await;
        count(&looked, &mut report.payments_ended, &mut report.payments_open);
        if looked.iter().all(|looked| *looked == Looked::Unanswered) {
            break;
        }
    }
    while Instant::now() < until {
        let open = store::claim_refunds(database, now(), BATCH).await?;
        let look = async |refund: RefundRecord| {
            let span = info_span!("reconcile", refund_id = %refund.id);
            let driven = async {
                let driven = payments.drive_refund(refund, now()).await;
                judge(
                    driven.map(|refund| !matches!(refund.status, RefundStatus::Pending | RefundStatus::Held)),
                )
            };
            driven.instrument(span).await
        };
        let looked = join_all(open.into_iter().map(look)).await;
        count(&looked, &mut report.refunds_ended, &mut report.refunds_open);
        if looked.iter().all(|looked| *looked == Looked::Unanswered) {
            break;
        }
    }
    Ok(report)
}

fn judge(ended: Result<bool, Failure>) -> Looked {
    match ended {
        Ok(true) => Looked::Ended,
        Ok(false) => Looked::Open,
        Err(failure @ Failure::Unavailable(_)) => {
            warn!(cause = failure.causes(), "left to the next run");
            Looked::Unanswered
        }
        Err(failure) => {
            error!(cause = failure.causes(), "cannot be settled");
            Looked::Open
        }
    }
}

fn count(looked: &[Looked], ended: &mut u32, open: &mut u32) {
    for looked in looked {
        *if *looked == Looked::Ended { &mut *ended } else { &mut *open } += 1;
    }
}
