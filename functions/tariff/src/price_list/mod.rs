//! The price list: which tariff holds where and when, and operators' changes to it.

mod create;
mod end;
mod get;
mod list;

pub(crate) use create::CreateOutcome;
pub use create::{CreateTariff, create_tariff};
pub use end::{EndTariff, end_tariff};
pub use get::{GetTariff, get_tariff};
pub use list::{ListTariffs, list_tariffs};
