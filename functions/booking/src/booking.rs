//! A booking, as its driver and operators see it.

use serde::{Deserialize, Serialize};
use shared::{
    BookingId, Caller, ConnectorId, Database, Failure, InvoiceId, Money, PaymentId, Role, SessionId,
    StationId, Timestamp, UserId,
};

use crate::store::bookings as store;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BookingStatus {
    /// The slot is kept while the card is being charged.
    Pending,
    /// The connector is the driver's in that time.
    Confirmed,
    /// Its driver charges.
    Active,
    /// Its driver has charged.
    Completed,
    /// By the driver, or for want of its payment.
    Cancelled,
    /// Nobody came.
    NoShow,
}

impl BookingStatus {
    /// Its name, as in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Active => "ACTIVE",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::NoShow => "NO_SHOW",
        }
    }

    /// Whether the slot is kept.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Confirmed | Self::Active)
    }
}

/// GraphQL `Booking`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Booking {
    /// Its id.
    pub id: BookingId,
    /// Whose it is.
    pub user_id: UserId,
    /// Where.
    pub station_id: StationId,
    /// What is kept …
    pub connector_id: ConnectorId,
    /// … from then …
    pub start_ts: Timestamp,
    /// … until then.
    pub end_ts: Timestamp,
    /// How far it is.
    pub status: BookingStatus,
    /// What it cost, with VAT; none if nothing.
    pub price: Option<Money>,
    /// What of that is given back; none where there is no price.
    pub refunded: Option<Money>,
    /// The payment by card, if one was begun.
    pub payment_id: Option<PaymentId>,
    /// None until it is paid, and if it costs nothing.
    pub invoice_id: Option<InvoiceId>,
    /// In which its driver charged.
    pub session_id: Option<SessionId>,
    /// Why it is cancelled: `DRIVER`, or why the card was not charged.
    pub reason: Option<String>,
    /// When it was made of a hold.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What `/v1` shows of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BookingSummary {
    id: BookingId,
    station_id: StationId,
    connector_id: ConnectorId,
    start_ts: Timestamp,
    end_ts: Timestamp,
    status: BookingStatus,
}

impl From<Booking> for BookingSummary {
    fn from(booking: Booking) -> Self {
        let Booking { id, station_id, connector_id, start_ts, end_ts, status, .. } = booking;
        Self { id, station_id, connector_id, start_ts, end_ts, status }
    }
}

impl BookingSummary {
    /// Of what confirming came to; a conflict where the card was not charged, or too late. One that its driver cancelled
    /// since is shown as it is.
    pub fn confirmed(booking: Booking) -> Result<Self, Failure> {
        let unpaid = |message: String| Err(Failure::conflict("PAYMENT_FAILED", message));
        match (booking.status, booking.reason.as_deref()) {
            (BookingStatus::Cancelled, Some("DRIVER")) => Ok(booking.into()),
            (BookingStatus::Cancelled, Some("PAID_TOO_LATE")) => {
                unpaid("the card was charged too late for the booked time; all of it goes back".to_owned())
            }
            (BookingStatus::Cancelled, why) => {
                let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                unpaid(format!("the card was not charged{why}: hold the time again and name another card"))
            }
            _ => Ok(booking.into()),
        }
    }
}

/// What `/v1` shows of a booking that was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookingState {
    id: BookingId,
    status: BookingStatus,
}

impl From<Booking> for BookingState {
    fn from(Booking { id, status, .. }: Booking) -> Self {
        Self { id, status }
    }
}

/// Arguments of `Query.booking`.
#[derive(Debug, Deserialize)]
pub struct GetBooking {
    #[serde(deserialize_with = "rest::parsed")]
    id: BookingId,
}

/// One booking: the caller's own, or anybody's for an operator.
pub async fn booking(
    database: &Database,
    caller: &Caller,
    GetBooking { id }: GetBooking,
) -> Result<Booking, Failure> {
    let user = caller.user()?;
    let owner = (!user.roles.contains(&Role::Operator)).then_some(user.id);
    store::booking(database, id, owner).await?.ok_or(Failure::NotFound("booking"))
}
