//! Tariffs, plans and subscriptions in PostgreSQL; writes and documents are functions
//! of migrations 0007 and 0008.

mod plans;
mod subscriptions;
mod tariffs;

pub(crate) use plans::{create_plan, plan, plans, retire_plan};
pub(crate) use subscriptions::{cancel_subscription, subscribe, subscription_of, turn, turning};
pub(crate) use tariffs::{create_tariff, end_tariff, tariffs, terms};
