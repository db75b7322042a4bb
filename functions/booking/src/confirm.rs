//! A hold becomes a booking, and its fee is paid.

use chrono::TimeDelta;
use payment::{PaymentMethod, Payments};
use serde::Deserialize;
use shared::{Caller, Failure};

use crate::booking::{Booking, BookingStatus};
use crate::calendar::slot_taken;
use crate::desk::Desk;
use crate::hold_token::HoldToken;
use crate::store::bookings::{self as store, Asked, Outcome};

/// Within this the news of a hold has come to the database.
const NEWS: TimeDelta = TimeDelta::seconds(30);

/// Arguments of `Mutation.confirmBooking`.
#[derive(Debug, Deserialize)]
pub struct ConfirmBooking {
    /// What is asked.
    pub input: Confirmation,
}

/// What is asked; the body of `POST /v1/bookings/confirm`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    hold_token: HoldToken,
    /// The card to charge; the wallet pays unless told.
    payment_id: Option<PaymentMethod>,
}

/// Makes the caller's hold a booking, once. The wallet pays in the same statement; a card is charged as far as the
/// provider answers in time, and until it does the booking is PENDING. One whose card is declined is CANCELLED.
pub async fn confirm(
    desk: &Desk,
    payments: &Payments,
    caller: &Caller,
    Confirmation { hold_token, payment_id }: Confirmation,
) -> Result<Booking, Failure> {
    let driver = caller.user()?.id;
    // One that has lapsed may have been confirmed in time, and this be a repetition: the statement knows.
    let found = desk.holds.of_user(&hold_token, driver).await;
    let hold = found.clone().ok().flatten().filter(|hold| hold.expires_at > caller.at);
    let asked = Asked { driver, token: &hold_token, hold: hold.as_ref(), method: payment_id.as_ref() };
    let (mut booking, payment) =
        match store::confirm(&desk.outbox, asked, caller.at, caller.correlation_id).await? {
            Outcome::Booked { booking, payment } => (*booking, payment),
            // Redis may well have it: nobody knows yet that there is no such hold.
            Outcome::UnknownHold if found.is_err() && caller.at < hold_token.taken_at() + NEWS => {
                return Err(Failure::Unavailable("the hold"));
            }
            refusal => {
                let lapses = hold_token.taken_at() + desk.holds.settings().lifetime;
                return Err(refused(&refusal, lapses <= caller.at));
            }
        };
    if booking.status.is_open() {
        let Booking { station_id, connector_id, start_ts, end_ts, .. } = booking;
        let token = Some(&hold_token);
        desk.holds.booked(station_id, connector_id, start_ts, end_ts, token, caller.at).await;
    } else if booking.status == BookingStatus::Cancelled {
        // Its card failed, as the provider has told somebody else who knows nothing of holds.
        desk.free(&booking).await;
    }
    if let Some(begun) = payment {
        payments.charge(*begun, caller.at).await?;
        let after_it = store::booking(desk.outbox.database(), booking.id, Some(driver)).await?;
        booking = after_it.ok_or_else(|| Failure::fault("a booking is gone"))?;
        if booking.status == BookingStatus::Cancelled {
            desk.free(&booking).await;
        }
    }
    Ok(booking)
}

/// `is_old`: by its token, the hold must have lapsed; whose it was tells nobody.
fn refused(refusal: &Outcome, is_old: bool) -> Failure {
    match refusal {
        Outcome::HoldExpired => Failure::conflict("HOLD_EXPIRED", "the hold has lapsed, take another"),
        Outcome::NoHold | Outcome::UnknownHold if is_old => refused(&Outcome::HoldExpired, true),
        Outcome::NoHold | Outcome::UnknownHold => Failure::NotFound("hold"),
        // A token may outlive its account by a little.
        Outcome::NoAccount | Outcome::Booked { .. } => Failure::Unauthenticated("log in first"),
        Outcome::SlotTaken => slot_taken(),
        Outcome::TooManyBookings => {
            Failure::conflict("TOO_MANY_BOOKINGS", "no more than 10 bookings can be ahead at a time")
        }
        Outcome::InsufficientFunds => {
            Failure::conflict("INSUFFICIENT_FUNDS", "the wallet does not hold enough, and no card was named")
        }
        Outcome::CurrencyMismatch => {
            Failure::conflict("CURRENCY_MISMATCH", "the wallet holds another currency: name a card")
        }
        Outcome::CardAmountTooSmall => Failure::conflict(
            "CARD_AMOUNT_TOO_SMALL",
            "a card cannot be charged so little: pay from the wallet",
        ),
        Outcome::CardAmountTooFine => Failure::conflict(
            "CARD_AMOUNT_TOO_FINE",
            "a card cannot be charged exactly this in this currency; pay from the wallet",
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use shared::Timestamp;

    use super::*;

    #[test]
    fn a_card_is_named_by_the_providers_token() {
        let token = HoldToken::new(Timestamp::UNIX_EPOCH);
        let read = |payment: serde_json::Value| {
            let body = json!({ "holdToken": token, "paymentId": payment });
            shared::read_fields::<Confirmation>(body).map_err(|failure| failure.to_string())
        };
        assert!(read(json!(null)).unwrap().payment_id.is_none());
        assert!(read(json!("pm_card_visa")).unwrap().payment_id.is_some());
        assert!(read(json!("4242424242424242")).unwrap_err().starts_with("paymentId: must be"));
        assert!(shared::read_fields::<Confirmation>(json!({ "holdToken": "x" })).is_err());
    }
}
