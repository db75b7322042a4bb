//! The flat rates on offer.

use shared::{Caller, Database, DatabaseError, Failure, PlanId, Reason, Statement, UserId};

use crate::plan::{NewPlan, Plan};

/// On offer, oldest first; nobody offers a hundred.
pub(crate) async fn plans(database: &Database) -> Result<Vec<Plan>, DatabaseError> {
    let list = Statement::read(
        "SELECT plan_document(plans) FROM plans WHERE retired_at IS NULL ORDER BY id LIMIT 100",
    );
    database.rows(list).await
}

/// On offer or retired.
pub(crate) async fn plan(database: &Database, plan: PlanId) -> Result<Option<Plan>, DatabaseError> {
    let find = Statement::read("SELECT plan_document(plans) FROM plans WHERE id = :plan::uuid");
    database.row(find.bind("plan", plan)).await
}

pub(crate) async fn create_plan(
    database: &Database,
    plan: &NewPlan<'_>,
    operator: UserId,
    reason: &Reason,
    caller: &Caller,
) -> Result<Plan, Failure> {
    let write = Statement::new(
        "SELECT create_plan(:plan::jsonb, :operator::uuid, :reason::text, :now::timestamptz, :correlation_id::uuid)",
    );
    let write = write
        .bind("plan", serde_json::to_value(plan).map_err(Failure::fault)?)
        .bind("operator", operator)
        .bind("reason", reason.as_str())
        .bind("now", caller.at)
        .bind("correlation_id", caller.correlation_id);
    database.row(write).await?.ok_or_else(|| Failure::fault("create_plan gave no row"))
}

/// None for an unknown one.
pub(crate) async fn retire_plan(
    database: &Database,
    plan: PlanId,
    operator: UserId,
    reason: &Reason,
    caller: &Caller,
) -> Result<Option<Plan>, DatabaseError> {
    let write = Statement::new(
        "SELECT * FROM retire_plan(:plan::uuid, :operator::uuid, :reason::text, :now::timestamptz,
                                   :correlation_id::uuid)",
    );
    let write = write
        .bind("plan", plan)
        .bind("operator", operator)
        .bind("reason", reason.as_str())
        .bind("now", caller.at)
        .bind("correlation_id", caller.correlation_id);
    database.row(write).await
}
