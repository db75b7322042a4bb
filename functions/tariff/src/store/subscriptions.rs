//! Drivers' flat rates.

use serde_json::Value;
use shared::{CorrelationId, Database, DatabaseError, Failure, Outbox, Statement, Timestamp, UserId};

use crate::plan::{NewSubscription, PlanSubscription, Position, Seen, SubscribeOutcome, Turned};

/// The one that has not ended.
pub(crate) async fn subscription_of(
    database: &Database,
    driver: UserId,
    now: Timestamp,
) -> Result<Option<PlanSubscription>, DatabaseError> {
    let find = Statement::read(
        "SELECT subscription_document(subscriptions, :now::timestamptz) FROM subscriptions
         WHERE user_id = :driver::uuid AND status <> 'ENDED'",
    );
    database.row(find.bind("driver", driver).bind("now", now)).await
}

pub(crate) async fn subscribe(
    outbox: &Outbox,
    new: &NewSubscription<'_>,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<SubscribeOutcome, Failure> {
    let write = Statement::new(
        "SELECT subscribe_to_plan(:subscription::uuid, :driver::uuid, :plan::uuid, :key::text, :turns_at::timestamptz,
                                  :period::jsonb, :invoice::jsonb, :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("subscription", new.id)
        .bind("driver", new.driver)
        .bind("plan", new.plan)
        .bind("key", new.idempotency_key)
        .bind("turns_at", new.turns_at)
        .bind("period", new.period.clone())
        .bind("invoice", new.invoice.clone())
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("subscribe_to_plan gave no row"))
}

/// None without one that has not ended.
pub(crate) async fn cancel_subscription(
    database: &Database,
    driver: UserId,
    now: Timestamp,
) -> Result<Option<PlanSubscription>, DatabaseError> {
    let write = Statement::new("SELECT * FROM cancel_subscription(:driver::uuid, :now::timestamptz)");
    database.row(write.bind("driver", driver).bind("now", now)).await
}

/// The next `limit` subscriptions that have to be looked at.
pub(crate) async fn turning(
    database: &Database,
    now: Timestamp,
    after: Position,
    limit: usize,
) -> Result<Vec<Seen>, DatabaseError> {
    let list = Statement::read(
        "SELECT * FROM subscriptions_turning(:now::timestamptz, :turns_at::timestamptz, :id::uuid, :limit::integer)",
    );
    let list = list
        .bind("now", now)
        .bind("turns_at", after.turns_at)
        .bind("id", after.id)
        .bind("limit", i64::try_from(limit).unwrap_or(i64::MAX));
    database.rows(list).await
}

/// Takes a step, if the subscription is still as it was seen.
pub(crate) async fn turn(
    outbox: &Outbox,
    seen: &Seen,
    step: Value,
    now: Timestamp,
    correlation_id: CorrelationId,
) -> Result<Turned, Failure> {
    let write = Statement::new(
        "SELECT turn_subscription(:seen::jsonb, :step::jsonb, :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("seen", serde_json::to_value(seen).map_err(Failure::fault)?)
        .bind("step", step)
        .bind("now", now)
        .bind("correlation_id", correlation_id);
    outbox.write(write).await?.ok_or_else(|| Failure::fault("turn_subscription gave no row"))
}
