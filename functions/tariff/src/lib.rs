//! Prices: the tariffs that sessions are billed by, and the flat rates that do so instead. Owns the tables `tariffs`,
//! `plans`, `subscriptions` and `subscription_periods`; what is owed for a session is billing's.

mod estimate;
mod input;
mod plan;
mod price;
mod price_list;
mod store;

pub use estimate::{CostEstimate, EstimateCost, estimate_cost};
pub use plan::{
    CreatePlan, Plan, PlanSubscription, RenewRequest, Renewed, RetirePlan, SubscribeToPlan,
    SubscriptionStatus, cancel_subscription, create_plan, my_subscription, plans, renew_subscriptions,
    retire_plan, subscribe_to_plan,
};
pub use price::{
    Band, Basis, Coverage, Line, LocalTime, Price, Reading, Tariff, TimeZone, Unit, Usage, price,
};
pub use price_list::{
    CreateTariff, EndTariff, GetTariff, ListTariffs, create_tariff, end_tariff, get_tariff, list_tariffs,
};
