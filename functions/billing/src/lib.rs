//! Money: what is owed for a session, what was paid, and what a wallet holds. Owns the tables `invoices`,
//! `number_series` and `wallet_entries`; a session's cost is written here, everything else about
//! sessions is not. Prices are worked out by the crate `tariff`.

mod bill;
mod facts;
mod html;
mod invoices;
mod link;
mod overdue;
mod page;
mod store;
mod tariffs;
mod wallet;

pub use bill::{Biller, SessionEnded};
pub use facts::{Facts, Priced};
pub use invoices::{
    GetInvoice, Invoice, InvoiceKind, InvoiceLine, InvoiceStatus, ListInvoices, invoice, invoices,
};
pub use link::{InvoiceLinks, InvoicePage, LinkKeys, invoice_page_link};
pub use overdue::{OverdueReport, OverdueRequest, mark_overdue};
pub use page::{Pages, Seller};
pub use store::bill_statement;
pub use wallet::{AdjustWallet, ListWalletEntries, WalletEntry, credit, debit, wallet_entries};
