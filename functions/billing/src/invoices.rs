//! A driver's invoices.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use shared::{
    Caller, Cursor, Database, EnergyKwh, Failure, First, InvoiceId, Money, Page, SessionId, Timestamp,
};

use crate::store;

/// Whether an invoice is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InvoiceStatus {
    /// Owed.
    Pending,
    /// Settled.
    Paid,
    /// Owed, and its due date is past.
    Overdue,
}

impl InvoiceStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Overdue => "OVERDUE",
        }
    }
}

/// GraphQL `Invoice`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// Ordered by time.
    pub id: InvoiceId,
    /// What it is for.
    pub session_id: SessionId,
    /// The total.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub amount: Money,
    /// Energy billed.
    #[serde(rename = "energyKWh")]
    pub energy_kwh: EnergyKwh,
    /// The last day to pay it.
    pub due_date: NaiveDate,
    /// Whether it is settled.
    pub status: InvoiceStatus,
    /// When the session was billed.
    pub created_at: Timestamp,
}

/// Arguments of `Query.listInvoices`.
#[derive(Debug, Deserialize)]
pub struct ListInvoices {
    status: Option<InvoiceStatus>,
    first: Option<First>,
    after: Option<Cursor>,
}

/// The caller's own invoices, newest first.
pub async fn invoices(
    database: &Database,
    caller: &Caller,
    ListInvoices { status, first, after }: ListInvoices,
) -> Result<Page<Invoice>, Failure> {
    let user = caller.user()?.id;
    let first = first.unwrap_or_default();
    let after = after.map(|cursor| cursor.key::<InvoiceId>()).transpose()?;
    let rows = store::invoices(database, user, status, after, first.with_lookahead(), caller.at.date_naive())
        .await?;
    Page::of(first, rows, |invoice| invoice.id)
}
