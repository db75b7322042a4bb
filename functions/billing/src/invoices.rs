//! Invoices as their owners and operators see them.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use shared::{
    BookingId, Caller, Cursor, Database, EnergyKwh, Failure, First, InvoiceId, Money, Page, Role, SessionId,
    SubscriptionId, Timestamp, UserId,
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
    /// All of it was taken back: given back as far as it was paid.
    Refunded,
}

impl InvoiceStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Overdue => "OVERDUE",
            Self::Refunded => "REFUNDED",
        }
    }
}

/// What an invoice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InvoiceKind {
    /// For a session.
    Session,
    /// For a month of a flat rate.
    Subscription,
    /// For a booking.
    Booking,
    /// Takes back (a part of) another.
    CreditNote,
}

/// GraphQL `Invoice`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// Its id.
    pub id: InvoiceId,
    /// Without gaps within a year.
    pub number: String,
    /// What it is.
    pub kind: InvoiceKind,
    /// The session that it is for.
    pub session_id: Option<SessionId>,
    /// The flat rate that it is for.
    pub subscription_id: Option<SubscriptionId>,
    /// The booking that it is for.
    pub booking_id: Option<BookingId>,
    /// Of a credit note: what it takes from.
    pub corrects_invoice_id: Option<InvoiceId>,
    /// The total; below zero on a credit note.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub amount: Money,
    /// Without VAT.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub net: Money,
    /// The VAT in it.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub vat: Money,
    /// Share of the net price: `0.19`.
    pub vat_rate: Decimal,
    /// They add up to `amount`.
    pub lines: Vec<InvoiceLine>,
    /// What is still to be paid.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub due: Money,
    /// What was taken back, paid or not.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub refunded: Money,
    /// Energy billed.
    #[serde(rename = "energyKWh")]
    pub energy_kwh: EnergyKwh,
    /// The last day to pay it, in UTC.
    pub due_date: NaiveDate,
    /// Whether it is settled.
    pub status: InvoiceStatus,
    /// When it was issued.
    pub created_at: Timestamp,
}

/// GraphQL `InvoiceLine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvoiceLine {
    /// For people.
    pub description: String,
    /// How many of `unit`.
    pub quantity: Decimal,
    /// What is counted: `kWh`.
    pub unit: String,
    /// For one of them, with VAT.
    pub unit_price: Decimal,
    /// With VAT.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub amount: Money,
}

/// Arguments of `Query.listInvoices`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListInvoices {
    pub(crate) status: Option<InvoiceStatus>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    user_id: Option<UserId>,
    first: Option<First>,
    after: Option<Cursor>,
}

/// Arguments of `Query.invoice` and `Query.invoicePage`.
#[derive(Debug, Deserialize)]
pub struct GetInvoice {
    pub(crate) id: InvoiceId,
}

/// A position in a list of invoices.
pub(crate) type InvoiceKey = (Timestamp, InvoiceId);

/// The caller's own invoices, newest first; an operator may name another account.
pub async fn invoices(
    database: &Database,
    caller: &Caller,
    asked: ListInvoices,
) -> Result<Page<Invoice>, Failure> {
    let owner = whose(caller, asked.user_id)?;
    let first = asked.first.unwrap_or_default();
    let after = asked.after.as_ref().map(Cursor::key::<InvoiceKey>).transpose()?;
    let rows = store::invoices(database, owner, &asked, after, first.with_lookahead()).await?;
    Page::of(first, rows, |invoice| (invoice.created_at, invoice.id))
}

/// One invoice: the caller's own, or anybody's for an operator.
pub async fn invoice(
    database: &Database,
    caller: &Caller,
    GetInvoice { id }: GetInvoice,
) -> Result<Invoice, Failure> {
    let found = store::invoice(database, id, visible_to(caller)?).await?;
    found.ok_or(Failure::NotFound("invoice"))
}

/// The account asked for: the caller's own, or another that only an operator may name.
pub(crate) fn whose(caller: &Caller, asked: Option<UserId>) -> Result<UserId, Failure> {
    match asked {
        Some(other) if other != caller.user()?.id => caller.with_role(Role::Operator).map(|_| other),
        _ => Ok(caller.user()?.id),
    }
}

/// Whose objects the caller sees; none: everybody's.
pub(crate) fn visible_to(caller: &Caller) -> Result<Option<UserId>, Failure> {
    let user = caller.user()?;
    Ok(if user.roles.contains(&Role::Operator) { None } else { Some(user.id) })
}
