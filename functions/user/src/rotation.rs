//! The steps in which the key of access tokens is replaced. A key is published before it signs, for longer than anyone
//! keeps published keys; a key that signs no more stays published until the last token it signed has expired.

use chrono::TimeDelta;
use rcgen::{KeyPair, PKCS_ED25519};
use serde::{Deserialize, Serialize};
use shared::{Failure, Timestamp};
use uuid::Uuid;

/// How long a key signs before a fresh one is made.
const INTERVAL: TimeDelta = TimeDelta::days(30);
/// How long a key is published before it signs: longer than the functions and whoever reads our JWKS keep keys.
const PUBLISHED_AHEAD: TimeDelta = TimeDelta::minutes(15);
/// How long a key that was replaced stays published: longer than a function may go on signing with it, and its tokens
/// are good after that.
const KEPT_AFTER: TimeDelta = TimeDelta::hours(1);

/// The signing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Signing {
    #[serde(flatten)]
    pub(crate) key: PrivateKey,
    /// When it took over; none for the first, which nothing preceded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
    /// What will sign next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<PrivateKey>,
}

/// PKCS #8, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PrivateKey {
    pub(crate) kid: String,
    pub(crate) private_key: String,
}

/// The verifying secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verifying {
    pub(crate) keys: Vec<PublicKey>,
}

/// SubjectPublicKeyInfo, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublicKey {
    pub(crate) kid: String,
    pub(crate) public_key: String,
    /// None for the first key, which signs from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) published_at: Option<Timestamp>,
}

/// What one write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Step {
    /// Makes a fresh key and keeps it beside the one that signs.
    Stage,
    /// Publishes its public half.
    Publish,
    /// Lets it sign.
    Switch,
    /// Publishes no more what signed before.
    Retire,
}

/// What the step leaves in one of the secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Signing(Signing),
    Verifying(Verifying),
}

impl PrivateKey {
    /// A fresh Ed25519 key under a name of its own.
    pub(crate) fn generate() -> Result<Self, Failure> {
        let pair = KeyPair::generate_for(&PKCS_ED25519).map_err(Failure::fault)?;
        Ok(Self { kid: Uuid::now_v7().to_string(), private_key: pair.serialize_pem() })
    }

    pub(crate) fn public(&self, published_at: Timestamp) -> Result<PublicKey, Failure> {
        let pair = KeyPair::from_pem(&self.private_key).map_err(Failure::fault)?;
        let (kid, public_key) = (self.kid.clone(), pair.public_key_pem());
        Ok(PublicKey { kid, public_key, published_at: Some(published_at) })
    }
}

/// The step that is due, if one is. `first_seen` stands in for the time when the first key took over; `at_once` asks
/// for a fresh key whatever the age of the one that signs.
pub(crate) fn due(
    signing: &Signing,
    verifying: &Verifying,
    first_seen: Timestamp,
    now: Timestamp,
    at_once: bool,
) -> Option<Step> {
    let published = |kid: &str| verifying.keys.iter().find(|key| key.kid == kid)?.published_at;
    let is_old = |key: &PublicKey| !is_needed(signing, key);
    match &signing.next {
        Some(next) => match published(&next.kid) {
            None => return Some(Step::Publish),
            Some(at) if now - at >= PUBLISHED_AHEAD => return Some(Step::Switch),
            Some(_) => {}
        },
        None if at_once || now - signing.since.unwrap_or(first_seen) >= INTERVAL => return Some(Step::Stage),
        None => {}
    }
    let is_over = signing.since.is_some_and(|since| now - since >= KEPT_AFTER);
    (is_over && verifying.keys.iter().any(is_old)).then_some(Step::Retire)
}

fn is_needed(signing: &Signing, key: &PublicKey) -> bool {
    key.kid == signing.key.kid || signing.next.as_ref().is_some_and(|next| next.kid == key.kid)
}

/// What is to be written for a step that is due.
pub(crate) fn take(
    step: Step,
    mut signing: Signing,
    mut verifying: Verifying,
    now: Timestamp,
) -> Result<Change, Failure> {
    Ok(match (step, &signing.next) {
        (Step::Stage, _) => {
            signing.next = Some(PrivateKey::generate()?);
            Change::Signing(signing)
        }
        (Step::Publish, Some(next)) => {
            verifying.keys.retain(|key| key.kid != next.kid);
            verifying.keys.push(next.public(now)?);
            Change::Verifying(verifying)
        }
        (Step::Switch, Some(next)) => {
            Change::Signing(Signing { key: next.clone(), since: Some(now), next: None })
        }
        (Step::Retire, _) => {
            verifying.keys.retain(|key| is_needed(&signing, key));
            Change::Verifying(verifying)
        }
        (Step::Publish | Step::Switch, None) => return Err(Failure::fault("no key is staged")),
    })
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
