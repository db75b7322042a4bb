//! A driver cancels a booking before it begins.

use serde::Deserialize;
use shared::{BookingId, Caller, Failure};

use crate::booking::Booking;
use crate::desk::Desk;
use crate::policy::Policy;
use crate::store::bookings::{self as store, Cancelling};

/// Arguments of `Mutation.cancelBooking`; path parameters of `POST /v1/bookings/{id}/cancel`.
#[derive(Debug, Deserialize)]
pub struct CancelBooking {
    #[serde(deserialize_with = "rest::parsed")]
    id: BookingId,
}

/// Cancels the caller's booking and gives back what the policy says: to the wallet at once, to a card as soon as the
/// provider does. One that is cancelled stays as it is.
pub async fn cancel(
    desk: &Desk,
    policy: &Policy,
    caller: &Caller,
    CancelBooking { id }: CancelBooking,
) -> Result<Booking, Failure> {
    const NO_BOOKING: Failure = Failure::NotFound("booking");
    let driver = caller.user()?.id;
    // Its price and its start never change: what is given back may be reckoned before the booking is locked.
    let found = store::booking(desk.outbox.database(), id, Some(driver)).await?.ok_or(NO_BOOKING)?;
    let part = found.price.map(|price| policy.refund(price, found.start_ts, caller.at));
    match store::cancel(&desk.outbox, id, driver, part, caller.at).await?.ok_or(NO_BOOKING)? {
        Cancelling::Cancelled { booking, freed } => {
            if freed {
                desk.free(&booking).await;
            }
            Ok(*booking)
        }
        Cancelling::BookingBegun => Err(Failure::conflict(
            "BOOKING_BEGUN",
            "the booking has begun or is over: it cannot be cancelled",
        )),
        Cancelling::PaymentPending => {
            Err(Failure::conflict("PAYMENT_PENDING", "the booking's card is being charged, try again soon"))
        }
    }
}
