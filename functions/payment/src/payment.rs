//! A payment, as apps see it and as it is kept.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use shared::{BookingId, Currency, InvoiceId, Money, PaymentId, Timestamp, UserId};

use crate::tokens::{IntentRef, PaymentMethod};

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentPurpose {
    /// An invoice, from the wallet, by card, or both.
    Invoice,
    /// Money for the wallet, by card.
    TopUp,
    /// A booking, by card.
    Booking,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentStatus {
    /// The provider has not said.
    Pending,
    /// The driver's bank wants to hear from the driver.
    RequiresAction,
    /// Paid.
    Succeeded,
    /// Not paid, and nothing of it will be.
    Failed,
}

impl PaymentStatus {
    /// Whether nothing will change it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// GraphQL `Payment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// What for.
    pub purpose: PaymentPurpose,
    /// Which invoice, of one, and of a booking that is paid.
    pub invoice_id: Option<InvoiceId>,
    /// Which booking, of one.
    pub booking_id: Option<BookingId>,
    /// All of it.
    pub amount: Money,
    /// What of it came from the wallet.
    pub from_wallet: Money,
    /// What of it is the card's.
    pub from_card: Money,
    /// How far it is.
    pub status: PaymentStatus,
    /// Why it failed, in the provider's code.
    pub failure_code: Option<String>,
    /// For the provider's app library, while action is required; never kept.
    pub client_secret: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
}

/// A payment as the store tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) id: PaymentId,
    pub(crate) user_id: UserId,
    purpose: PaymentPurpose,
    invoice_id: Option<InvoiceId>,
    booking_id: Option<BookingId>,
    amount: Decimal,
    from_wallet: Decimal,
    from_card: Decimal,
    currency: Currency,
    pub(crate) payment_method: Option<PaymentMethod>,
    pub(crate) provider_ref: Option<IntentRef>,
    pub(crate) status: PaymentStatus,
    failure_code: Option<String>,
    pub(crate) created_at: Timestamp,
}

/// A payment that another context's statement has begun, as `payment_document` of migration 0012 tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Begun(pub(crate) Record);

impl Record {
    /// The card's part, as it is charged.
    pub(crate) fn asked_of_card(&self) -> Money {
        Money::new(self.from_card, self.currency)
    }

    /// As its owner is shown it.
    pub(crate) fn shown(self, client_secret: Option<String>) -> Payment {
        let money = |amount| Money::new(amount, self.currency).rounded();
        Payment {
            id: self.id,
            purpose: self.purpose,
            invoice_id: self.invoice_id,
            booking_id: self.booking_id,
            amount: money(self.amount),
            from_wallet: money(self.from_wallet),
            from_card: money(self.from_card),
            status: self.status,
            failure_code: self.failure_code,
            client_secret: client_secret.filter(|_| self.status == PaymentStatus::RequiresAction),
            created_at: self.created_at,
        }
    }
}
