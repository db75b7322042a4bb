//! What drivers read. An event is read into the fields that its text needs, and no others.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Deserialize;
use shared::{Currency, EnergyKwh, Money, Timestamp};

use super::{Channel, Way};

/// A text of a few lines, for all channels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    subject: String,
    /// All of it in a sentence or two.
    line: String,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// E-mail and push, if the driver wants them.
    News,
    /// Push, if the driver wants it: the e-mail about the money follows.
    Moment,
    /// E-mail in any case, and push if the driver wants it.
    Demand,
}

impl Message {
    pub(super) fn new(kind: Kind, subject: impl Into<String>, line: impl Into<String>) -> Self {
        Self { subject: one_line(&subject.into()), line: one_line(&line.into()), kind }
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// The e-mail's text.
    pub(super) fn letter(&self, name: &str) -> String {
        format!("Hello {},\n\n{}\n\nYou find the details in the app.\n", one_line(name), self.line)
    }

    pub(super) fn ways(&self) -> Vec<Way> {
        let email = |always| Way { channel: Channel::Email, always };
        let push = Way { channel: Channel::Push, always: false };
        match self.kind {
            Kind::News => vec![email(false), push],
            Kind::Moment => vec![push],
            Kind::Demand => vec![email(true), push],
        }
    }
}

/// Names are people's own words: none begins a line of its own.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An amount as it is paid.
pub(super) fn coins(amount: Decimal, currency: Currency) -> String {
    Money::new(amount, currency).rounded().to_string()
}

fn kwh(energy: EnergyKwh) -> String {
    EnergyKwh(energy.0.round_dp(2).normalize()).to_string()
}

fn day(moment: Timestamp) -> NaiveDate {
    moment.date_naive()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Method {
    Wallet,
    Card,
    WalletAndCard,
    None,
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentCompleted {
    amount: Decimal,
    currency: Currency,
    method: Method,
    number: String,
}

impl From<PaymentCompleted> for Message {
    fn from(PaymentCompleted { amount, currency, method, number }: PaymentCompleted) -> Self {
        let amount = coins(amount, currency);
        let how = match method {
            Method::None => {
                let line = format!("There is nothing to pay for invoice {number}.");
                return Self::new(Kind::News, "Nothing to pay", line);
            }
            Method::Wallet => " from your wallet",
            Method::Card => " by card",
            Method::WalletAndCard => " from your wallet and by card",
            Method::Other => "",
        };
        Self::new(
            Kind::News,
            format!("Receipt: {amount}"),
            format!("Thank you: {amount} for invoice {number} were paid{how}."),
        )
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentFailed {
    amount: Decimal,
    currency: Currency,
}

impl From<PaymentFailed> for Message {
    fn from(PaymentFailed { amount, currency }: PaymentFailed) -> Self {
        let amount = coins(amount, currency);
        let line =
            format!("Your payment of {amount} did not go through. Please try again, or pay in another way.");
        Self::new(Kind::News, "Your payment failed", line)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PaymentRefunded {
    amount: Decimal,
    currency: Currency,
}

impl From<PaymentRefunded> for Message {
    fn from(PaymentRefunded { amount, currency }: PaymentRefunded) -> Self {
        let amount = coins(amount, currency);
        let line = format!("You get {amount} back for an invoice that you have paid.");
        Self::new(Kind::News, format!("Refund: {amount}"), line)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InvoiceGenerated {
    amount: Decimal,
    currency: Currency,
    number: String,
    due_date: NaiveDate,
}

impl From<InvoiceGenerated> for Message {
    fn from(InvoiceGenerated { amount, currency, number, due_date }: InvoiceGenerated) -> Self {
        let amount = coins(amount, currency);
        Self::new(
            Kind::Demand,
            format!("To pay: {amount} by {due_date}"),
            format!("Please pay {amount} for invoice {number} by {due_date}."),
        )
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InvoiceOverdue {
    /// What is still owed.
    due: Decimal,
    currency: Currency,
    number: String,
    due_date: NaiveDate,
    /// The first is 1.
    reminder: u32,
}

impl From<InvoiceOverdue> for Message {
    fn from(InvoiceOverdue { due, currency, number, due_date, reminder }: InvoiceOverdue) -> Self {
        let due = coins(due, currency);
        Self::new(
            Kind::Demand,
            format!("Reminder {reminder}: {due} overdue"),
            format!("{due} for invoice {number} were due on {due_date}. Please pay now."),
        )
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionEnded {
    energy_kwh: EnergyKwh,
    #[serde(with = "rust_decimal::serde::float")]
    duration_minutes: Decimal,
    /// By an operator: it was told before, otherwise.
    #[serde(default)]
    corrected: bool,
}

impl From<SessionEnded> for Message {
    fn from(SessionEnded { energy_kwh, duration_minutes, corrected }: SessionEnded) -> Self {
        let subject = if corrected { "Your charge was corrected" } else { "Charging has ended" };
        let line = format!("You charged {} in {} min.", kwh(energy_kwh), duration_minutes.round());
        Self::new(Kind::Moment, subject, line)
    }
}

/// What happened to a flat rate.
#[derive(Debug, Clone, Copy)]
pub(super) enum SubscriptionStep {
    Started,
    Renewed,
    Ended,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subscription {
    included_kwh: Option<EnergyKwh>,
    /// The first moment of the next period.
    period_end: Option<Timestamp>,
}

impl Subscription {
    pub(super) fn message(&self, step: SubscriptionStep) -> Message {
        let subject = match step {
            SubscriptionStep::Started => "Your flat rate has begun",
            SubscriptionStep::Renewed => "Your flat rate goes on",
            SubscriptionStep::Ended => {
                let line = "Your flat rate has ended. What you charge from now on is billed by tariff.";
                return Message::new(Kind::News, "Your flat rate has ended", line);
            }
        };
        let energy =
            self.included_kwh.map(|energy| format!(" It includes {}.", kwh(energy))).unwrap_or_default();
        let until = self.period_end.and_then(|end| day(end).pred_opt());
        let until = until.map(|day| format!(" until {day}")).unwrap_or_default();
        Message::new(Kind::News, subject, format!("Your flat rate runs{until}.{energy}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::{Value, json};

    use super::*;

    fn lines(message: &Message) -> [&str; 2] {
        [message.subject(), message.line()]
    }

    fn paid(method: &str) -> Message {
        let event =
            json!({ "amount": "12.5", "currency": "EUR", "method": method, "number": "2026-A-000042" });
        serde_json::from_value::<PaymentCompleted>(event).unwrap().into()
    }

    fn owed(currency: &str) -> Value {
        json!({
            "amount": "1200.4", "due": "200.4", "currency": currency, "number": "2026-A-000042",
            "dueDate": "2026-03-07", "reminder": 2,
        })
    }

    #[test]
    fn a_receipt_says_how_it_was_paid() {
        for (method, how) in [
            ("WALLET", " from your wallet"),
            ("CARD", " by card"),
            ("WALLET_AND_CARD", " from your wallet and by card"),
            ("BARTER", ""),
        ] {
            let line = format!("Thank you: 12.50 EUR for invoice 2026-A-000042 were paid{how}.");
            assert_eq!(lines(&paid(method)), ["Receipt: 12.50 EUR", &line]);
        }
        assert_eq!(
            lines(&paid("NONE")),
            ["Nothing to pay", "There is nothing to pay for invoice 2026-A-000042."]
        );
    }

    #[test]
    fn what_is_owed_is_told_in_the_coins_of_its_currency_with_its_day() {
        let message: Message = serde_json::from_value::<InvoiceGenerated>(owed("JPY")).unwrap().into();
        assert_eq!(
            lines(&message),
            [
                "To pay: 1200 JPY by 2026-03-07",
                "Please pay 1200 JPY for invoice 2026-A-000042 by 2026-03-07."
            ]
        );
        let message: Message = serde_json::from_value::<InvoiceOverdue>(owed("KWD")).unwrap().into();
        assert_eq!(
            lines(&message),
            [
                "Reminder 2: 200.400 KWD overdue",
                "200.400 KWD for invoice 2026-A-000042 were due on 2026-03-07. Please pay now."
            ]
        );
    }

    #[test]
    fn a_charge_is_told_in_kilowatt_hours_and_minutes() {
        let read = |event| Message::from(serde_json::from_value::<SessionEnded>(event).unwrap());
        let event = json!({ "energyKwh": 22.4049, "durationMinutes": 58 });
        assert_eq!(lines(&read(event)), ["Charging has ended", "You charged 22.4 kWh in 58 min."]);
        let event = json!({ "energyKwh": 0, "durationMinutes": 0, "corrected": true });
        assert_eq!(lines(&read(event)), ["Your charge was corrected", "You charged 0 kWh in 0 min."]);
    }

    #[test]
    fn a_flat_rate_is_told_with_its_last_day_and_its_energy() {
        let event = json!({ "includedKwh": 150.5, "periodEnd": "2026-03-01T00:00:00.000Z" });
        let subscription: Subscription = serde_json::from_value(event).unwrap();
        assert_eq!(
            lines(&subscription.message(SubscriptionStep::Started)),
            ["Your flat rate has begun", "Your flat rate runs until 2026-02-28. It includes 150.5 kWh."]
        );
        let subscription: Subscription = serde_json::from_value(json!({})).unwrap();
        assert_eq!(
            lines(&subscription.message(SubscriptionStep::Ended)),
            [
                "Your flat rate has ended",
                "Your flat rate has ended. What you charge from now on is billed by tariff."
            ]
        );
    }

    #[test]
    fn a_name_cannot_add_lines_to_a_letter() {
        let letter = paid("CARD").letter("Ada\r\nBcc: all@example.com\n\nGive me money");
        assert!(
            letter.starts_with("Hello Ada  Bcc: all@example.com  Give me money,\n\nThank you"),
            "{letter}"
        );
    }
}
