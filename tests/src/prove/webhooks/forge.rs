//! Webhooks that must not be believed, and those that no network may send.

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::story::Fact;
use crate::Result;
use crate::prove::network::{Answer, Delivery, Network, Webhook};

/// How many ways there are.
pub(super) const WAYS: usize = 13;
/// More than any body may have.
const TOO_MANY_BYTES: usize = (64 << 10) + 1;

/// The fact as somebody else would tell it who has seen it, or the network itself when it is broken; and the status
/// that it must be refused with.
pub(super) fn forge(
    fact: &Fact,
    network: &Network,
    other: &Network,
    secret: &str,
    way: usize,
) -> Result<(Delivery, u16)> {
    let true_one = || network.sign(&fact.webhook, secret);
    let told_at = |delay: i64| {
        let webhook = Webhook { at: Utc::now() + TimeDelta::seconds(delay), ..fact.webhook.clone() };
        network.sign(&webhook, secret)
    };
    let says = |text: &str| network.sign_text(&fact.webhook, text.to_owned(), secret);
    let body = fact.webhook.body.to_string();
    Ok(match way % WAYS {
        0 => (network.sign(&fact.webhook, &other.secret)?, 401),
        1 => (true_one()?.with_body(body.replace(['1', '2'], "3") + " "), 401),
        2 => (true_one()?.with("webhook-timestamp", (fact.webhook.at.timestamp() + 1).to_string()), 401),
        3 => (true_one()?.with("webhook-id", format!("{}-again", fact.webhook.id)), 401),
        // Word for word what was sent once, kept for longer than the window.
        4 => (told_at(-301 - i64::try_from(way)?)?, 401),
        5 => (told_at(330)?, 401),
        6 => (true_one()?.without("webhook-signature"), 401),
        7 => (true_one()?.without("x-vendor-id"), 401),
        8 => (true_one()?.with("x-vendor-id", Uuid::nil().to_string()), 401),
        9 => (true_one()?.with("x-vendor-id", other.id.to_string()), 401),
        10 => (says("no JSON")?, 400),
        11 => (says("{}")?, 400),
        _ => (says(&" ".repeat(TOO_MANY_BYTES))?, 413),
    })
}

/// Fails unless that is how it was refused: in the envelope, and without asking for a token, which would not help.
pub(super) fn check(answer: &Answer, status: u16) -> Result<()> {
    let error = &answer.body["error"];
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let is_told = answer.body["success"] == false
        && is_text(&error["code"])
        && is_text(&error["message"])
        && is_text(&error["requestId"]);
    if answer.status == status && is_told && answer.challenge.is_none() {
        Ok(())
    } else {
        Err(format!("{status} in the envelope was due: {answer:?}").into())
    }
}
