//! What proves that a webhook comes from a vendor: Standard Webhooks' headers, an HMAC-SHA256 over `{id}.{time}.{body}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use shared::{Failure, Timestamp};
use subtle::{Choice, ConstantTimeEq};

use crate::{Key, WebhookId};

/// A message older (or newer, by the clocks' difference) than that may be one that somebody kept.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// One a key, and some that we need not understand.
const MOST_SIGNATURES: usize = 16;
const LONGEST_HEADER: usize = 2048;
const SCHEME: &str = "v1";

/// What everybody is told whose webhook is not believed: which vendors there are is nobody's business.
pub(crate) const UNSIGNED: Failure = Failure::Unauthenticated("the webhook is not signed by a vendor's key");
const STALE: Failure = Failure::Unauthenticated("webhook-timestamp is more than five minutes from now");

/// A signed message, not yet believed.
pub(crate) struct Signed<'a> {
    pub(crate) id: WebhookId,
    /// When it was sent, by its sender's clock.
    pub(crate) at: Timestamp,
    time: &'a str,
    signatures: Vec<[u8; 32]>,
    body: &'a [u8],
}

impl<'a> Signed<'a> {
    /// A message as its headers tell it, sent within five minutes of `now`. Fails as unauthenticated where nothing is
    /// signed, and names `webhook-id` where that could not be kept.
    pub(crate) fn read(
        id: Option<&str>,
        time: Option<&'a str>,
        signatures: Option<&str>,
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let (Some(id), Some(time), Some(signatures)) = (id, time, signatures) else { return Err(UNSIGNED) };
        let signatures = parse(signatures).ok_or(UNSIGNED)?;
        let id = WebhookId::try_from(id.to_owned()).map_err(|told| Failure::invalid("webhook-id", told))?;
        let is_number = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        let at = time.parse().ok().filter(|_| is_number);
        let at = at.and_then(|seconds| Timestamp::from_timestamp(seconds, 0)).ok_or(UNSIGNED)?;
        if now.signed_duration_since(at).abs() > WINDOW {
            return Err(STALE);
        }
        Ok(Self { id, at, time, signatures, body })
    }

    /// Whether one of `keys` that are good at `now` signs it. Takes the same time wherever a signature begins to differ,
    /// and without keys as long as with one.
    pub(crate) fn is_by(&self, keys: &[Key], now: Timestamp) -> bool {
        let good: Vec<_> = keys.iter().filter(|key| key.is_good(now)).map(|key| key.secret.bytes()).collect();
        if good.is_empty() {
            let _ = self.is_signed_with(&[0; 32]);
            return false;
        }
        let any = |found: Choice, secret: &&[u8]| found | self.is_signed_with(secret);
        good.iter().fold(Choice::from(0), any).into()
    }

    fn is_signed_with(&self, secret: &[u8]) -> Choice {
        let expected = sign(self.id.as_str(), self.time, self.body, secret);
        let any = |found: Choice, signature: &[u8; 32]| found | expected.ct_eq(signature);
        self.signatures.iter().fold(Choice::from(0), any)
    }
}

fn sign(id: &str, time: &str, body: &[u8], secret: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return [0; 32] };
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The signatures of the scheme that we know; none if there are none, or more than anybody sends.
fn parse(header: &str) -> Option<Vec<[u8; 32]>> {
    if header.len() > LONGEST_HEADER {
        return None;
    }
    let signatures: Vec<_> = header
        .split_ascii_whitespace()
        .filter_map(|part| part.split_once(','))
        .filter(|(scheme, _)| *scheme == SCHEME)
        .filter_map(|(_, base64)| STANDARD.decode(base64).ok()?.try_into().ok())
        .collect();
    (1..=MOST_SIGNATURES).contains(&signatures.len()).then_some(signatures)
}

#[cfg(test)]
mod tests;
