//! Identifiers that cannot be swapped for one another. All are UUIDs; those that order things by time are v7.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID")]
pub struct ParseIdError;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one, ordered by its time of creation (UUIDv7).
            #[expect(clippy::new_without_default, reason = "a fresh id is no default value")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The bare UUID, for a store.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// One booking of a connector for a time.
    BookingId;
    /// One charger under our control; the name it dials in with is another thing.
    ChargerId;
    /// One controlled connector: a place where one car charges at a time.
    ConnectorId;
    /// Follows one request of the app through every event it causes.
    CorrelationId;
    /// One event on the bus; consumers are idempotent by it.
    EventId;
    /// One invoice or credit note.
    InvoiceId;
    /// One payment, whatever its parts.
    PaymentId;
    /// One flat rate on offer.
    PlanId;
    /// One giving back of money for an invoice.
    RefundId;
    /// One charging session.
    SessionId;
    /// One station, mirrored or controlled; the same in MongoDB and PostgreSQL.
    StationId;
    /// One driver's flat rate.
    SubscriptionId;
    /// One month of a flat rate.
    SubscriptionPeriodId;
    /// One line of the price list.
    TariffId;
    /// One account.
    UserId;
    /// One car.
    VehicleId;
    /// One charging network that reports by webhook.
    VendorId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_refuses_anything_else() {
        let id = SessionId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("42".parse::<SessionId>(), Err(ParseIdError));
    }
}
