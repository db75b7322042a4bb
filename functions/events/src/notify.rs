//! Tells drivers of their money, their sessions and their bookings, by e-mail and in the app: a message on an SNS topic for each, which
//! whoever sends them subscribes to. What is told is decided once an event, published, and then noted; a run that dies
//! between the last two publishes again. Subscribers can tell by the attribute `eventId`.
//!
//! Drivers may opt out of a channel, but not of what asks them for money: `INVOICE_GENERATED` and `INVOICE_OVERDUE` are
//! mailed whatever their settings say, as the law wants a debtor to be told. No log says whom, or what.

mod booking;
mod message;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::{BuildError, DisplayErrorContext};
use aws_sdk_sns::types::MessageAttributeValue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{Database, Envelope, EventId, Events, Failure, Timestamp, UserId, read_fields};
use tracing::{info, warn};

use self::booking::{Booking, BookingStep};
use self::message::{
    InvoiceGenerated, InvoiceOverdue, Message, PaymentCompleted, PaymentFailed, PaymentRefunded,
    SessionEnded, Subscription, SubscriptionStep,
};
use crate::store::notifications::{self as store, Recipient};

/// How a driver is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Channel {
    Email,
    Push,
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::Push => "PUSH",
        }
    }
}

/// A channel that something is told on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Way {
    pub(crate) channel: Channel,
    /// Whatever the driver's settings say.
    pub(crate) always: bool,
}

/// The events that drivers are told of.
#[derive(Debug)]
pub struct Told {
    user: UserId,
    what: What,
}

#[derive(Debug)]
enum What {
    News(Box<Message>),
    /// Nothing is told, and what they wanted to be told is forgotten.
    Deleted,
}

/// Whom an event is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    user_id: UserId,
}

impl Events for Told {
    fn read(event_type: &str, fields: Value) -> Option<Result<Self, Failure>> {
        let user = read_fields::<About>(fields.clone());
        let what = match event_type {
            "PAYMENT_COMPLETED" => read_fields::<PaymentCompleted>(fields).map(Message::from),
            "PAYMENT_FAILED" => read_fields::<PaymentFailed>(fields).map(Message::from),
            "PAYMENT_REFUNDED" => read_fields::<PaymentRefunded>(fields).map(Message::from),
            "INVOICE_GENERATED" => read_fields::<InvoiceGenerated>(fields).map(Message::from),
            "INVOICE_OVERDUE" => read_fields::<InvoiceOverdue>(fields).map(Message::from),
            "SESSION_ENDED" => read_fields::<SessionEnded>(fields).map(Message::from),
            "SUBSCRIPTION_STARTED" => read_subscription(SubscriptionStep::Started, fields),
            "SUBSCRIPTION_RENEWED" => read_subscription(SubscriptionStep::Renewed, fields),
            "SUBSCRIPTION_ENDED" => read_subscription(SubscriptionStep::Ended, fields),
            "BOOKING_CONFIRMED" => read_booking(BookingStep::Confirmed, fields),
            "BOOKING_CANCELLED" => read_booking(BookingStep::Cancelled, fields),
            "BOOKING_NO_SHOW" => read_booking(BookingStep::NoShow, fields),
            "USER_DELETED" => {
                return Some(user.map(|about| Self { user: about.user_id, what: What::Deleted }));
            }
            _ => return None,
        };
        let news = |about: About| {
            what.map(|message| Self { user: about.user_id, what: What::News(Box::new(message)) })
        };
        Some(user.and_then(news))
    }
}

fn read_subscription(step: SubscriptionStep, fields: Value) -> Result<Message, Failure> {
    read_fields::<Subscription>(fields).map(|subscription| subscription.message(step))
}

fn read_booking(step: BookingStep, fields: Value) -> Result<Message, Failure> {
    read_fields::<Booking>(fields).map(|booking| booking.message(step))
}

/// What telling needs.
pub struct Notifier {
    database: Database,
    sns: Client,
    topic_arn: String,
}

impl Notifier {
    /// The database, and the topic that messages are published on.
    pub fn new(database: Database, sns: Client, topic_arn: impl Into<String>) -> Self {
        Self { database, sns, topic_arn: topic_arn.into() }
    }

    async fn publish(&self, event: &Envelope<Told>, channel: Channel, body: &Value) -> Result<(), Failure> {
        let attributes = [
            ("channel", channel.name().to_owned()),
            ("userId", event.payload.user.to_string()),
            ("eventType", event.event_type.clone()),
            ("eventId", event.event_id.to_string()),
        ];
        let mut call = self.sns.publish().topic_arn(&self.topic_arn).message(body.to_string());
        for (name, value) in attributes {
            call = call.message_attributes(name, text(value).map_err(Failure::fault)?);
        }
        match Box::pin(call.send()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                warn!(channel = channel.name(), cause = %DisplayErrorContext(&error), "not published");
                Err(Failure::Unavailable("the notifications' topic"))
            }
        }
    }

    async fn note(&self, event: EventId, channels: &[Channel], now: Timestamp) -> Result<(), Failure> {
        if !channels.is_empty() {
            store::mark(&self.database, event, channels, now).await?;
        }
        Ok(())
    }
}

fn text(value: String) -> Result<MessageAttributeValue, BuildError> {
    MessageAttributeValue::builder().data_type("String").string_value(value).build()
}

/// Tells the driver whom an event is about, once on each channel. Fails when a channel does not take it, after the
/// others did.
pub async fn notify(notifier: &Notifier, event: Envelope<Told>, now: Timestamp) -> Result<(), Failure> {
    let user = event.payload.user;
    let message = match &event.payload.what {
        What::News(message) => message,
        What::Deleted => return Ok(store::forget(&notifier.database, user).await?),
    };
    let claim = store::claim(&notifier.database, event.event_id, user, &message.ways(), now).await?;
    let Some(Recipient { name, email, channels }) = claim else {
        info!("nobody to tell: the account is gone");
        return Ok(());
    };
    let (mut sent, mut outcome) = (Vec::new(), Ok(()));
    for channel in channels {
        let body = match channel {
            Channel::Email => {
                json!({ "to": email, "subject": message.subject(), "text": message.letter(&name) })
            }
            Channel::Push => json!({ "subject": message.subject(), "text": message.line() }),
        };
        match notifier.publish(&event, channel, &body).await {
            Ok(()) => sent.push(channel),
            failed => outcome = failed,
        }
    }
    notifier.note(event.event_id, &sent, now).await?;
    outcome
}
