//! The provider's webhook: a word that something happened. Believed only if it is signed, and even then no more than a
//! hint: it goes into a queue, and whoever takes it from there asks the provider what is true.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{CorrelationId, Failure, Message, MissingSetting, Timestamp, read_fields, setting};
use tracing::{info, warn};

use crate::account::AccountSecret;
use crate::signature::{Unverified, verify};
use crate::tokens::{EventRef, IntentRef, RefundRef};

/// The provider's messages have a few KB.
const LARGEST_BODY: usize = 256 << 10;

/// What the queue carries: names alone, nothing of what the provider says about them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hint {
    /// The provider's event; a repeated delivery carries the same.
    pub event_id: EventRef,
    /// `payment_intent.succeeded`, …
    pub event_type: String,
    /// What to ask about.
    #[serde(flatten)]
    pub about: About,
    /// Follows the webhook to its end.
    pub correlation_id: CorrelationId,
}

impl Message for Hint {
    const FIELDS: &'static str = "";

    fn read(fields: Value) -> Result<Self, Failure> {
        read_fields(fields)
    }
}

/// What something happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    /// A payment's intent.
    #[serde(rename = "paymentIntentId")]
    Intent(IntentRef),
    /// A refund to a card.
    #[serde(rename = "refundId")]
    Refund(RefundRef),
}

/// Why a webhook is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// More than 256 KB.
    #[error("too large")]
    TooLarge,
    /// Not from the provider, or not now.
    #[error("{0}")]
    Unverified(#[from] Unverified),
    /// Signed, and yet nothing that the provider sends.
    #[error("not an event")]
    NoEvent,
    /// Something of ours does not work: the provider shall send it again.
    #[error("{0}")]
    Failed(#[from] Failure),
}

impl Rejected {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::Unverified(_) | Self::NoEvent => 400,
            Self::Failed(_) => 503,
        }
    }
}

/// The provider's event, as far as it is read.
#[derive(Deserialize)]
struct ProviderEvent {
    id: EventRef,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    id: Option<String>,
    object: Option<String>,
}

/// Where webhooks come in.
pub struct Webhook {
    secret: AccountSecret,
    queue: Client,
    queue_url: String,
}

impl Webhook {
    /// Webhooks signed by the account's secrets, for that queue.
    pub fn new(secret: AccountSecret, queue: Client, queue_url: impl Into<String>) -> Self {
        Self { secret, queue, queue_url: queue_url.into() }
    }

    /// From `PAYMENT_SECRET_ARN` and `PAYMENT_QUEUE_URL`.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        let secret = AccountSecret::from_env(config)?;
        Ok(Self::new(secret, Client::new(config), setting("PAYMENT_QUEUE_URL")?))
    }

    /// Takes a body as it came, with its `Stripe-Signature`. What it tells of is queued if it concerns us.
    pub async fn receive(
        &self,
        signature: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Rejected> {
        if body.len() > LARGEST_BODY {
            return Err(Rejected::TooLarge);
        }
        let account = self.secret.get(now).await?;
        verify(signature.ok_or(Unverified::Malformed)?, body, &account.webhook_secrets, now)?;
        match hint(body)? {
            Some(hint) => Ok(self.queue(&hint).await?),
            None => Ok(()),
        }
    }

    async fn queue(&self, hint: &Hint) -> Result<(), Failure> {
        let body = serde_json::to_string(hint).map_err(Failure::fault)?;
        let call = self.queue.send_message().queue_url(&self.queue_url).message_body(body);
        // On the heap: the SDK's futures nest so deeply that a handler around them overflows the compiler's limits.
        Box::pin(call.send()).await.map_err(|error| {
            warn!(cause = %DisplayErrorContext(error), "the payment queue does not take a message");
            Failure::Unavailable("the payment queue")
        })?;
        let Hint { event_id, event_type, correlation_id, .. } = hint;
        info!(%event_id, event_type, %correlation_id, "webhook queued");
        Ok(())
    }
}

/// None for what no payment or refund of ours waits for.
fn hint(body: &[u8]) -> Result<Option<Hint>, Rejected> {
    let event: ProviderEvent = serde_json::from_slice(body).map_err(|_| Rejected::NoEvent)?;
    let is_type = |c: u8| c.is_ascii_lowercase() || c == b'.' || c == b'_';
    if event.kind.len() > 64 || !event.kind.bytes().all(is_type) {
        return Err(Rejected::NoEvent);
    }
    let Object { id: Some(id), object: Some(object) } = event.data.object else { return Ok(None) };
    let about = match object.as_str() {
        "payment_intent" => About::Intent(id.try_into().map_err(|_| Rejected::NoEvent)?),
        "refund" => About::Refund(id.try_into().map_err(|_| Rejected::NoEvent)?),
        _ => return Ok(None),
    };
    let correlation_id = CorrelationId::new();
    Ok(Some(Hint { event_id: event.id, event_type: event.kind, about, correlation_id }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, object: &Value) -> Result<Option<Hint>, Rejected> {
        hint(json!({ "id": "evt_1", "type": kind, "data": { "object": object } }).to_string().as_bytes())
    }

    #[test]
    fn a_hint_is_names_alone() {
        let intent =
            json!({ "id": "pi_1", "object": "payment_intent", "amount": 1250, "payment_method": "pm_1" });
        let hint = event("payment_intent.succeeded", &intent).unwrap().unwrap();
        let message = serde_json::to_value(&hint).unwrap();
        assert_eq!(
            message,
            json!({
                "eventId": "evt_1", "eventType": "payment_intent.succeeded", "paymentIntentId": "pi_1",
                "correlationId": hint.correlation_id,
            })
        );
        assert_eq!(serde_json::from_value::<Hint>(message).unwrap(), hint);
        let refund = event("refund.failed", &json!({ "id": "re_1", "object": "refund" })).unwrap().unwrap();
        assert_eq!(serde_json::to_value(refund).unwrap()["refundId"], "re_1");
    }

    #[test]
    fn what_concerns_no_payment_is_taken_and_dropped() {
        for object in
            [json!({ "id": "cus_1", "object": "customer" }), json!({ "object": "balance" }), json!({})]
        {
            assert!(event("customer.created", &object).unwrap().is_none());
        }
    }

    #[test]
    fn what_could_hide_a_number_is_no_event() {
        let intent = |id: &str| json!({ "id": id, "object": "payment_intent" });
        assert!(event("payment_intent.succeeded", &intent("pi_4242424242424242")).is_err());
        assert!(event("4242424242424242", &intent("pi_1")).is_err());
        assert!(event("payment_intent.succeeded", &intent("pi_1/../../refunds")).is_err());
        for body in ["", "[]", "null", "{}", r#"{"id": 1}"#] {
            assert!(matches!(hint(body.as_bytes()), Err(Rejected::NoEvent)), "{body}");
        }
    }
}
