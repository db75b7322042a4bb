//! A driver's own flat rate.

use chrono::{TimeDelta, Timelike};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    Caller, Database, EnergyKwh, Failure, InvoiceId, MoneyError, Outbox, PlanId, SubscriptionId,
    SubscriptionPeriodId, Timestamp, UserId,
};
use tracing::info;
use uuid::Uuid;

use super::renewal::turns_at;
use super::{Month, Plan};
use crate::input::IdempotencyKey;
use crate::store;

/// How long a month's invoice may stay unpaid.
const DUE_AFTER: TimeDelta = TimeDelta::days(14);

/// How a flat rate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SubscriptionStatus {
    /// Goes on with the next month.
    Active,
    /// Ends with the current period.
    Cancelled,
    /// An invoice of it is overdue.
    PastDue,
    /// Over.
    Ended,
}

/// GraphQL `PlanSubscription`, as `subscription_document` of migration 0008 gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanSubscription {
    /// Its id.
    pub id: SubscriptionId,
    /// The flat rate.
    pub plan: Plan,
    /// How it stands.
    pub status: SubscriptionStatus,
    /// The current or else the latest period's beginning.
    pub period_start: Timestamp,
    /// Its end: the first moment of the next month.
    pub period_end: Timestamp,
    /// Energy that it includes.
    #[serde(rename = "includedKWh")]
    pub included: EnergyKwh,
    /// What of it was used.
    #[serde(rename = "usedKWh")]
    pub used: EnergyKwh,
    /// By which the period is paid.
    pub invoice_id: InvoiceId,
    /// When it began.
    pub created_at: Timestamp,
}

/// Arguments of `Mutation.subscribeToPlan`.
#[derive(Debug, Deserialize)]
pub struct SubscribeToPlan {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    plan_id: PlanId,
    idempotency_key: IdempotencyKey,
}

/// What to write.
pub(crate) struct NewSubscription<'a> {
    pub(crate) id: SubscriptionId,
    pub(crate) driver: UserId,
    pub(crate) plan: PlanId,
    pub(crate) idempotency_key: &'a str,
    pub(crate) turns_at: Timestamp,
    pub(crate) period: Value,
    pub(crate) invoice: Value,
}

/// What came of it.
#[derive(Debug, Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SubscribeOutcome {
    /// Now, or by the same request before.
    Subscribed {
        subscription: Box<PlanSubscription>,
    },
    KeyReused,
    NoUser,
    Retired,
    AlreadySubscribed,
    CurrencyMismatch,
}

/// The caller's flat rate that has not ended.
pub async fn my_subscription(
    database: &Database,
    caller: &Caller,
) -> Result<Option<PlanSubscription>, Failure> {
    Ok(store::subscription_of(database, caller.user()?.id, caller.at).await?)
}

/// Begins a flat rate now, once for each of the driver's keys; the rest of the month is paid for in proportion.
pub async fn subscribe_to_plan(
    outbox: &Outbox,
    caller: &Caller,
    SubscribeToPlan { input }: SubscribeToPlan,
) -> Result<PlanSubscription, Failure> {
    let driver = caller.user()?.id;
    let plan = store::plan(outbox.database(), input.plan_id).await?.ok_or(Failure::NotFound("plan"))?;
    // To the millisecond, as the period's beginning is told.
    let now = caller.at.with_nanosecond(caller.at.timestamp_subsec_millis() * 1_000_000).unwrap_or(caller.at);
    let (id, month) = (SubscriptionId::new(), Month::beginning(now));
    let (period, invoice) = period_and_invoice(id, driver, &plan, &month, now).map_err(Failure::fault)?;
    let new = NewSubscription {
        id,
        driver,
        plan: plan.id,
        idempotency_key: &input.idempotency_key.0,
        turns_at: turns_at(&month),
        period,
        invoice,
    };
    match store::subscribe(outbox, &new, now, caller.correlation_id).await? {
        SubscribeOutcome::Subscribed { subscription } => {
            info!(subscription_id = %subscription.id, plan_id = %plan.id, "subscribed");
            Ok(*subscription)
        }
        SubscribeOutcome::KeyReused => {
            Err(Failure::conflict("IDEMPOTENCY_KEY_REUSED", "this key was used for another flat rate"))
        }
        SubscribeOutcome::NoUser => Err(Failure::NotFound("user")),
        SubscribeOutcome::Retired => {
            Err(Failure::conflict("PLAN_RETIRED", "this flat rate is no longer on offer"))
        }
        SubscribeOutcome::AlreadySubscribed => {
            Err(Failure::conflict("ALREADY_SUBSCRIBED", "you have a flat rate that has not ended"))
        }
        SubscribeOutcome::CurrencyMismatch => {
            Err(Failure::conflict("CURRENCY_MISMATCH", "your wallet holds another currency"))
        }
    }
}

/// Lets the caller's flat rate end with the period that is paid for; a second time changes nothing.
pub async fn cancel_subscription(database: &Database, caller: &Caller) -> Result<PlanSubscription, Failure> {
    let cancelled = store::cancel_subscription(database, caller.user()?.id, caller.at).await?;
    cancelled.ok_or(Failure::NotFound("subscription"))
}

/// A month of a flat rate and its invoice, as migrations 0008 and 0010 read them.
pub(super) fn period_and_invoice(
    subscription: SubscriptionId,
    driver: UserId,
    plan: &Plan,
    month: &Month,
    now: Timestamp,
) -> Result<(Value, Value), MoneyError> {
    let period_id = SubscriptionPeriodId::new();
    let mut period = month.fields(plan)?;
    period["id"] = json!(period_id);
    let mut invoice = month.price(plan)?.invoice_fields();
    let due = (now.max(month.starts_at) + DUE_AFTER).date_naive();
    for (name, value) in [
        ("id", json!(InvoiceId::new())),
        ("entryId", json!(Uuid::now_v7())),
        ("userId", json!(driver)),
        ("kind", json!("SUBSCRIPTION")),
        ("subscriptionId", json!(subscription)),
        ("subscriptionPeriodId", json!(period_id)),
        ("planId", json!(plan.id)),
        ("energyKwh", json!("0")),
        ("dueDate", json!(due)),
        ("reason", json!(month.description(plan))),
    ] {
        invoice[name] = value;
    }
    Ok((period, invoice))
}
