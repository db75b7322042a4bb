//! Charging networks that report of their connectors by signed webhooks: their keys, their connectors, what they say,
//! and what becomes of it.

mod connectors;
mod decimal;
mod key;
mod keyring;
mod list;
mod process;
mod receive;
mod register;
mod report;
mod rotate;
mod signature;
mod store;
mod text;
mod vault;
mod vendor;

pub use connectors::{RegisterVendorConnectors, register_connectors};
pub use decimal::{Cost, MeterKwh};
pub use key::{Key, KeyId, Keys, Overlap, SigningSecret};
pub use keyring::Keyring;
pub use list::{ListVendors, vendors};
pub use process::{Taken, process};
pub use receive::{Accepted, Desk};
pub use register::{RegisterVendor, register};
pub use report::{ConnectorStatus, Kind, Report, SessionEnd, SessionStart, Told, VendorStatus, WebhookId};
pub use rotate::{RotateVendorKey, rotate_key};
pub use text::{IdTag, VendorConnectorId, VendorName, VendorSessionId};
pub use vault::Vault;
pub use vendor::{Vendor, VendorCredentials, VendorKey, Vendors};
