//! Bringing a payment to its end: whatever happened before, the provider is asked where the payment's one intent stands,
//! and that decides the next step. Any number of processes may do so at once, and each may die at any point.

use chrono::TimeDelta;
use shared::{Failure, Timestamp};
use tracing::{info, warn};

use crate::Payments;
use crate::limits::smallest_units;
use crate::payment::{PaymentStatus, Record};
use crate::provider::{Intent, IntentStatus, Trouble};
use crate::store;

/// A charge that was not attempted by then is not attempted any more: nobody expects it.
const RESUMABLE: TimeDelta = TimeDelta::minutes(10);
/// How long a driver has to speak to the bank.
const PATIENCE_WITH_DRIVER: TimeDelta = TimeDelta::hours(1);
/// Confirm, cancel, settle; one to spare.
const MOST_STEPS: usize = 4;

/// A payment that was looked after.
pub(crate) struct Driven {
    pub(crate) payment: Record,
    /// Shown to its owner while action is required.
    pub(crate) client_secret: Option<String>,
}

/// What an intent's status asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Confirm,
    /// So that nothing can be charged once we call it failed.
    Cancel,
    Settle(PaymentStatus),
}

fn next_step(status: IntentStatus, age: TimeDelta, was_refused: bool) -> Step {
    match status {
        IntentStatus::Succeeded => Step::Settle(PaymentStatus::Succeeded),
        IntentStatus::Canceled => Step::Settle(PaymentStatus::Failed),
        IntentStatus::RequiresConfirmation if age < RESUMABLE && !was_refused => Step::Confirm,
        IntentStatus::RequiresConfirmation | IntentStatus::RequiresPaymentMethod => Step::Cancel,
        IntentStatus::RequiresAction if age >= PATIENCE_WITH_DRIVER => Step::Cancel,
        IntentStatus::RequiresAction => Step::Settle(PaymentStatus::RequiresAction),
        IntentStatus::Processing | IntentStatus::Other => Step::Settle(PaymentStatus::Pending),
    }
}

impl Payments {
    /// Does what can be done now. Unavailable: the provider or the database did not answer, and the payment is as true
    /// as it was.
    pub(crate) async fn drive(&self, payment: Record, now: Timestamp) -> Result<Driven, Failure> {
        if payment.status.is_over() {
            return Ok(Driven { payment, client_secret: None });
        }
        match self.intent_of(payment, now).await? {
            (payment, Some(intent)) => self.advance(payment, intent, now).await,
            (payment, None) => Ok(Driven { payment, client_secret: None }),
        }
    }

    /// Settles by what the provider says now; attempts nothing.
    pub(crate) async fn look(&self, payment: Record, now: Timestamp) -> Result<Driven, Failure> {
        let Some(intent) = payment.provider_ref.as_ref().filter(|_| !payment.status.is_over()) else {
            return Ok(Driven { payment, client_secret: None });
        };
        let intent = self.provider.intent(intent).await?;
        match next_step(intent.status, now - payment.created_at, false) {
            Step::Settle(report) => {
                let code = intent.failure_code();
                self.settle(payment, &intent, report, code, now).await
            }
            Step::Confirm | Step::Cancel => Ok(Driven { payment, client_secret: None }),
        }
    }

    /// The intent that the payment's row names, recorded before it is confirmed. None when the payment is over.
    async fn intent_of(&self, payment: Record, now: Timestamp) -> Result<(Record, Option<Intent>), Failure> {
        if let Some(intent) = &payment.provider_ref {
            let intent = self.provider.intent(intent).await?;
            return Ok((payment, Some(intent)));
        }
        let give_up = async |code: &str| {
            let failed = PaymentStatus::Failed;
            let payment = store::settle(&self.outbox, payment.id, None, failed, Some(code), now).await?;
            info!(payment_id = %payment.id, status = ?payment.status, code, "payment without an intent given up");
            Ok((payment, None))
        };
        if now - payment.created_at >= RESUMABLE {
            return give_up("provider_unavailable").await;
        }
        let Some(units) = smallest_units(payment.asked_of_card()) else {
            return give_up("amount_not_chargeable").await;
        };
        let intent = match self.provider.create_intent(&payment, units).await {
            Ok(intent) => intent,
            Err(Trouble::Refused { code }) => return give_up(&code).await,
            Err(Trouble::Unknown) => return Err(Trouble::Unknown.into()),
        };
        let payment = store::record_intent(self.outbox.database(), payment.id, &intent.id, now).await?;
        match &payment.provider_ref {
            _ if payment.status.is_over() => Ok((payment, None)),
            Some(recorded) if *recorded == intent.id => Ok((payment, Some(intent))),
            // Somebody was faster. Ours stays unconfirmed, and expires.
            Some(recorded) => {
                let intent = self.provider.intent(recorded).await?;
                Ok((payment, Some(intent)))
            }
            None => Ok((payment, None)),
        }
    }

    async fn advance(&self, payment: Record, mut intent: Intent, now: Timestamp) -> Result<Driven, Failure> {
        let age = now - payment.created_at;
        let mut code = None;
        let mut was_refused = false;
        for _ in 0..MOST_STEPS {
            code = intent.failure_code().or(code);
            let answer = match next_step(intent.status, age, was_refused) {
                Step::Settle(report) => return self.settle(payment, &intent, report, code, now).await,
                Step::Confirm => self.provider.confirm(payment.id, &intent.id).await,
                Step::Cancel => {
                    code = code.or_else(|| Some("expired".to_owned()));
                    self.provider.cancel(&intent.id).await
                }
            };
            intent = match answer {
                Ok(intent) => intent,
                // Declined, or not in the state that it was in a moment ago.
                Err(Trouble::Refused { code: refusal }) => {
                    was_refused = true;
                    let intent = self.provider.intent(&intent.id).await?;
                    code = intent.failure_code().or(code).or(Some(refusal));
                    intent
                }
                Err(Trouble::Unknown) => return Err(Trouble::Unknown.into()),
            };
        }
        warn!(payment_id = %payment.id, "the payment's intent does not come to rest: left for later");
        Err(Trouble::Unknown.into())
    }

    async fn settle(
        &self,
        payment: Record,
        intent: &Intent,
        report: PaymentStatus,
        code: Option<String>,
        now: Timestamp,
    ) -> Result<Driven, Failure> {
        let asked = payment.asked_of_card();
        let is_ours = smallest_units(asked) == Some(intent.amount)
            && intent.currency.eq_ignore_ascii_case(asked.currency().code());
        if !is_ours {
            return Err(Failure::fault(format!(
                "{} is not about what payment {} asks",
                intent.id, payment.id
            )));
        }
        let code = code.unwrap_or_else(|| "canceled".to_owned());
        let before = payment.status;
        let payment =
            store::settle(&self.outbox, payment.id, Some(&intent.id), report, Some(&code), now).await?;
        if payment.status != before {
            info!(payment_id = %payment.id, intent = %intent.id, status = ?payment.status, "payment settled");
        }
        Ok(Driven { payment, client_secret: intent.client_secret.clone() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [IntentStatus; 7] = [
        IntentStatus::RequiresPaymentMethod,
        IntentStatus::RequiresConfirmation,
        IntentStatus::RequiresAction,
        IntentStatus::Processing,
        IntentStatus::Canceled,
        IntentStatus::Succeeded,
        IntentStatus::Other,
    ];

    #[test]
    fn a_fresh_intent_is_confirmed_once_and_an_old_one_never() {
        let fresh = TimeDelta::seconds(1);
        assert_eq!(next_step(IntentStatus::RequiresConfirmation, fresh, false), Step::Confirm);
        assert_eq!(next_step(IntentStatus::RequiresConfirmation, fresh, true), Step::Cancel);
        assert_eq!(next_step(IntentStatus::RequiresConfirmation, RESUMABLE, false), Step::Cancel);
    }

    #[test]
    fn a_driver_has_an_hour() {
        let asked = Step::Settle(PaymentStatus::RequiresAction);
        assert_eq!(next_step(IntentStatus::RequiresAction, TimeDelta::minutes(59), false), asked);
        assert_eq!(next_step(IntentStatus::RequiresAction, TimeDelta::minutes(60), false), Step::Cancel);
    }

    proptest! {
        #[test]
        fn a_payment_ends_only_where_the_provider_cannot_change_its_mind(
            status in prop::sample::select(&ALL[..]), seconds in 0i64..1_000_000, was_refused: bool,
        ) {
            match next_step(status, TimeDelta::seconds(seconds), was_refused) {
                Step::Settle(PaymentStatus::Succeeded) => prop_assert_eq!(status, IntentStatus::Succeeded),
                Step::Settle(PaymentStatus::Failed) => prop_assert_eq!(status, IntentStatus::Canceled),
                Step::Settle(_) => {}
                Step::Confirm | Step::Cancel => {
                    prop_assert!(status != IntentStatus::Succeeded && status != IntentStatus::Canceled);
                }
            }
        }
    }
}
