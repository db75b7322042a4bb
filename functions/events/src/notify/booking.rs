//! What drivers read of their bookings. Times are in UTC, and say so: a driver may be anywhere.

use rust_decimal::Decimal;
use serde::Deserialize;
use shared::{Currency, Timestamp};

use super::message::{Kind, Message, coins};

/// What happened to a booking.
#[derive(Debug, Clone, Copy)]
pub(super) enum BookingStep {
    Confirmed,
    Cancelled,
    NoShow,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Booking {
    start_ts: Timestamp,
    end_ts: Timestamp,
    price: Decimal,
    refunded: Decimal,
    currency: Currency,
    /// Why it is cancelled.
    reason: Option<String>,
}

impl Booking {
    pub(super) fn message(&self, step: BookingStep) -> Message {
        let (when, money) = (self.when(), self.money());
        match step {
            BookingStep::Confirmed => Message::new(
                Kind::News,
                "Your booking is confirmed",
                format!("A connector is kept for you from {when}. Cancel in time if you cannot come."),
            ),
            BookingStep::NoShow => Message::new(
                Kind::News,
                "Your booking has lapsed",
                format!("You had booked from {when}, and did not begin to charge.{money}"),
            ),
            BookingStep::Cancelled => {
                let (kind, why) = match self.reason.as_deref() {
                    Some("DRIVER") | None => (Kind::News, ""),
                    Some("PAID_TOO_LATE") => (Kind::News, ": its time had begun before it was paid"),
                    // The e-mail about the payment is on its way.
                    Some(_) => return self.unpaid(&when),
                };
                let line = format!("Your booking from {when} is cancelled{why}.{money}");
                Message::new(kind, "Your booking is cancelled", line)
            }
        }
    }

    fn unpaid(&self, when: &str) -> Message {
        let line = format!("Your booking from {when} is cancelled, since your card was not charged.");
        Message::new(Kind::Moment, "Your booking is cancelled", line)
    }

    /// `2026-11-21 10:00 to 11:00 UTC`.
    fn when(&self) -> String {
        let day = if self.start_ts.date_naive() == self.end_ts.date_naive() { "" } else { "%F " };
        let (from, to) = (self.start_ts.format("%F %H:%M"), self.end_ts.format("%H:%M UTC"));
        format!("{from} to {}{to}", self.end_ts.format(day))
    }

    /// What of the price comes back, and what is kept.
    fn money(&self) -> String {
        let kept = self.price - self.refunded;
        let back = (!self.refunded.is_zero())
            .then(|| format!(" You get {} back.", coins(self.refunded, self.currency)));
        let kept =
            (!kept.is_zero()).then(|| format!(" {} of its price are kept.", coins(kept, self.currency)));
        back.unwrap_or_default() + &kept.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::{Value, json};

    use super::*;

    fn line(step: BookingStep, fields: &Value) -> String {
        let mut event = json!({
            "startTs": "2026-11-21T10:00:00.000Z", "endTs": "2026-11-21T11:00:00.000Z", "price": "2.50",
            "refunded": "0.00", "currency": "EUR", "reason": null,
        });
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let booking: Booking = serde_json::from_value(event).unwrap();
        booking.message(step).line().to_owned()
    }

    #[test]
    fn a_driver_reads_when_and_what_it_costs() {
        assert_eq!(
            line(BookingStep::Confirmed, &json!({ "endTs": "2026-11-22T01:30:00.000Z" })),
            "A connector is kept for you from 2026-11-21 10:00 to 2026-11-22 01:30 UTC. Cancel in time if you cannot come."
        );
        assert_eq!(
            line(BookingStep::Cancelled, &json!({ "reason": "DRIVER", "refunded": "2.50" })),
            "Your booking from 2026-11-21 10:00 to 11:00 UTC is cancelled. You get 2.50 EUR back."
        );
        assert_eq!(
            line(BookingStep::Cancelled, &json!({ "reason": "DRIVER", "refunded": "1.25" })),
            "Your booking from 2026-11-21 10:00 to 11:00 UTC is cancelled. You get 1.25 EUR back. 1.25 EUR of its \
             price are kept."
        );
        assert_eq!(
            line(BookingStep::Cancelled, &json!({ "reason": "card_declined" })),
            "Your booking from 2026-11-21 10:00 to 11:00 UTC is cancelled, since your card was not charged."
        );
        assert_eq!(
            line(BookingStep::NoShow, &json!({ "price": "0.00" })),
            "You had booked from 2026-11-21 10:00 to 11:00 UTC, and did not begin to charge."
        );
    }
}
