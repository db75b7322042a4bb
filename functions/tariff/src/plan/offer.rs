//! The flat rates on offer, and operators' changes to them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};
use shared::{Caller, Currency, Database, EnergyKwh, Failure, Money, PlanId, Reason, Role, Timestamp};

use crate::input::{Kwh, Name, UnitPrice, VatRate};
use crate::store;

/// GraphQL `Plan`, as `plan_document` of migration 0008 gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// For people.
    pub name: String,
    /// A calendar month's, with VAT.
    #[serde(serialize_with = "to_the_smallest_coin")]
    pub monthly_price: Money,
    /// Energy that a month's price includes.
    #[serde(rename = "fairUseKWh")]
    pub fair_use: EnergyKwh,
    /// For each kilowatt-hour beyond it, with VAT.
    #[serde(rename = "perKWhBeyond")]
    pub per_kwh_beyond: Decimal,
    /// Share of the net price: 0.19.
    pub vat_rate: Decimal,
    /// When it came on offer.
    pub created_at: Timestamp,
    /// When it went off it; who has it keeps it.
    pub retired_at: Option<Timestamp>,
}

/// The table keeps four decimals of every currency; people are told those that it has.
fn to_the_smallest_coin<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    money.rounded().serialize(serializer)
}

/// Arguments of `Mutation.createPlan`.
#[derive(Debug, Deserialize)]
pub struct CreatePlan {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    name: Name,
    currency: Currency,
    monthly_price: UnitPrice,
    #[serde(rename = "fairUseKWh")]
    fair_use: Kwh,
    #[serde(rename = "perKWhBeyond")]
    per_kwh_beyond: UnitPrice,
    vat_rate: VatRate,
    reason: Reason,
}

/// Arguments of `Mutation.retirePlan`.
#[derive(Debug, Deserialize)]
pub struct RetirePlan {
    id: PlanId,
    reason: Reason,
}

/// What to write; decimals as text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewPlan<'a> {
    id: PlanId,
    name: &'a str,
    currency: Currency,
    monthly_price: Decimal,
    fair_use_kwh: Decimal,
    per_kwh_beyond: Decimal,
    vat_rate: Decimal,
}

/// The flat rates on offer, oldest first.
pub async fn plans(database: &Database) -> Result<Vec<Plan>, Failure> {
    Ok(store::plans(database).await?)
}

/// Puts a flat rate on offer.
pub async fn create_plan(
    database: &Database,
    caller: &Caller,
    CreatePlan { input }: CreatePlan,
) -> Result<Plan, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let digits = input.currency.minor_digits();
    if input.monthly_price.0.scale() > digits {
        let message = format!("has more than the {digits} decimals of {}", input.currency);
        return Err(Failure::invalid("input.monthlyPrice", message));
    }
    let plan = NewPlan {
        id: PlanId::new(),
        name: &input.name.0,
        currency: input.currency,
        monthly_price: input.monthly_price.0,
        fair_use_kwh: input.fair_use.0,
        per_kwh_beyond: input.per_kwh_beyond.0,
        vat_rate: input.vat_rate.0,
    };
    store::create_plan(database, &plan, operator, &input.reason, caller).await
}

/// Takes a flat rate off the offer; taking it off twice changes nothing.
pub async fn retire_plan(
    database: &Database,
    caller: &Caller,
    RetirePlan { id, reason }: RetirePlan,
) -> Result<Plan, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    store::retire_plan(database, id, operator, &reason, caller).await?.ok_or(Failure::NotFound("plan"))
}
