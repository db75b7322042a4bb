//! The payment provider's webhook through its front door: signed as the provider signs, verified by the function.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::load::{self, Outcome, Post};
use crate::Result;
use crate::stack::Stack;

/// `rate` webhooks a second for `time`, of a payment that nobody knows.
pub async fn measure(stack: &Stack, rate: f64, time: Duration) -> Result<Outcome> {
    let secret: Value = serde_json::from_str(&stack.secret("ev/payments").await?)?;
    let key = secret["webhookSecrets"][0].as_str().ok_or("no webhook secret")?;
    let now = chrono::Utc::now().timestamp();
    let body = json!({
        "id": "evt_bench", "object": "event", "type": "payment_intent.succeeded", "created": now,
        "data": { "object": { "id": "pi_bench", "object": "payment_intent" } },
    })
    .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())?;
    mac.update(format!("{now}.{body}").as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let post = Post {
        url: format!("{}/webhooks/stripe", stack.http_url),
        headers: vec![("stripe-signature".into(), format!("t={now},v1={signature}"))],
        body: Bytes::from(body),
    };
    load::flood(&post, 1, Duration::from_secs(1)).await?;
    load::pace(&post, 4, rate, time).await
}
