//! Flat rates: what is on offer, who has one, and the months they are paid for.

mod month;
mod offer;
mod renewal;
mod subscription;

pub(crate) use month::Month;
pub(crate) use offer::NewPlan;
pub use offer::{CreatePlan, Plan, RetirePlan, create_plan, plans, retire_plan};
pub(crate) use renewal::{Position, Seen, Turned};
pub use renewal::{RenewRequest, Renewed, renew_subscriptions};
pub(crate) use subscription::{NewSubscription, SubscribeOutcome};
pub use subscription::{
    PlanSubscription, SubscribeToPlan, SubscriptionStatus, cancel_subscription, my_subscription,
    subscribe_to_plan,
};
