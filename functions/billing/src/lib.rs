//! Money: what a session costs, what is owed for it, and what a wallet holds. Owns the tables `tariffs`, `invoices`
//! and `wallet_entries`; a session's cost is written here, everything else about sessions is not.

mod bill;
mod credit;
mod invoices;
mod store;
mod tariff;

pub use bill::{Billed, SessionEnded, bill};
pub use credit::{CreditWallet, WalletEntry, credit};
pub use invoices::{Invoice, InvoiceStatus, ListInvoices, invoices};
pub use tariff::{Tariff, TariffId};
