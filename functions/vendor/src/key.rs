//! The keys that a vendor signs with, as its secret holds them, and how one replaces another.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use shared::{Failure, Timestamp};
use uuid::Uuid;

/// So that nobody has to try more of them on each webhook.
const MOST_KEYS: usize = 8;
const PREFIX: &str = "whsec_";

/// The name of a key, which is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Uuid);

/// What webhooks are signed with, as Standard Webhooks writes it: `whsec_` and base64 of 24 to 64 bytes. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SigningSecret(Vec<u8>);

/// One key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Its name.
    pub id: KeyId,
    /// Its value.
    pub secret: SigningSecret,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is accepted no longer; none while it is the newest.
    pub expires_at: Option<Timestamp>,
}

/// What a vendor's secret holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Keys {
    /// Grows with every change.
    #[serde(default)]
    pub revision: i64,
    /// Newest last; some may have expired.
    pub keys: Vec<Key>,
}

/// How long a key is accepted beside its successor, in hours: 0 to 168, 24 unless told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Overlap(TimeDelta);

impl Key {
    /// A new one, of 256 random bits.
    pub fn new(now: Timestamp) -> Self {
        let secret = SigningSecret(rand::random::<[u8; 32]>().to_vec());
        Self { id: KeyId(Uuid::now_v7()), secret, created_at: now, expires_at: None }
    }

    /// Whether webhooks may be signed with it at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl KeyId {
    /// The bare UUID, for a store.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl Keys {
    /// With `successor` as the newest key. The others end with the overlap, those that would sooner as they were to;
    /// what has expired by now is gone.
    pub fn rotated(&self, successor: &Key, overlap: Overlap, now: Timestamp) -> Result<Self, Failure> {
        let end = now + overlap.0;
        let mut keys = self.keys.clone();
        for key in &mut keys {
            key.expires_at = Some(key.expires_at.map_or(end, |expires_at| expires_at.min(end)));
        }
        keys.retain(|key| key.is_good(now));
        if keys.len() >= MOST_KEYS {
            let message =
                "8 keys are accepted at present: wait for one to expire, or rotate without an overlap";
            return Err(Failure::conflict("TOO_MANY_KEYS", message));
        }
        keys.push(successor.clone());
        Ok(Self { revision: self.revision + 1, keys })
    }

    /// `key` alone.
    pub fn only(key: &Key, revision: i64) -> Self {
        Self { revision, keys: vec![key.clone()] }
    }

    /// Whether a key of that name is among them.
    pub fn hold(&self, id: KeyId) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }
}

impl SigningSecret {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As Standard Webhooks' libraries take it: `whsec_…`.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}

impl TryFrom<String> for SigningSecret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = text.strip_prefix(PREFIX).and_then(|base64| STANDARD.decode(base64).ok());
        let fits = |bytes: &Vec<u8>| (24..=64).contains(&bytes.len());
        bytes.filter(fits).map(Self).ok_or("must be whsec_ and base64 of 24 to 64 bytes")
    }
}

impl From<SigningSecret> for String {
    fn from(secret: SigningSecret) -> Self {
        secret.reveal()
    }
}

impl Default for Overlap {
    fn default() -> Self {
        Self(TimeDelta::hours(24))
    }
}

impl TryFrom<i64> for Overlap {
    type Error = &'static str;

    fn try_from(hours: i64) -> Result<Self, Self::Error> {
        if (0..=168).contains(&hours) { Ok(Self(TimeDelta::hours(hours))) } else { Err("must be 0 to 168") }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn rotated(keys: &Keys, hours: i64, now: i64) -> Keys {
        keys.rotated(&Key::new(at(now)), hours.try_into().unwrap(), at(now)).unwrap()
    }

    fn ends(keys: &Keys) -> Vec<Option<Timestamp>> {
        keys.keys.iter().map(|key| key.expires_at).collect()
    }

    #[test]
    fn the_old_key_is_good_for_the_overlap_and_no_longer() {
        let first = rotated(&Keys::default(), 24, 0);
        let both = rotated(&first, 24, 10);
        assert_eq!(ends(&both), [Some(at(34)), None]);
        assert!(both.keys[0].is_good(at(34) - TimeDelta::seconds(1)) && !both.keys[0].is_good(at(34)));
        // A later rotation ends no key later than it was to, and drops what has ended.
        assert_eq!(ends(&rotated(&both, 168, 20)), [Some(at(34)), Some(at(188)), None]);
        assert_eq!(ends(&rotated(&both, 1, 20)), [Some(at(21)), Some(at(21)), None]);
        assert_eq!(ends(&rotated(&both, 24, 34)), [Some(at(58)), None]);
    }

    #[test]
    fn without_an_overlap_the_newest_is_alone() {
        let mut keys = Keys::default();
        for hour in 0..8 {
            keys = rotated(&keys, 168, hour);
        }
        let refused = keys.rotated(&Key::new(at(8)), Overlap::default(), at(8)).unwrap_err();
        assert!(matches!(refused, Failure::Conflict { code: "TOO_MANY_KEYS", .. }));
        assert_eq!(ends(&rotated(&keys, 0, 8)), [None]);
    }

    #[test]
    fn a_secret_is_long_random_and_never_printed() {
        let (key, other) = (Key::new(at(0)), Key::new(at(0)));
        assert_ne!(key.secret, other.secret);
        let shown = key.secret.reveal();
        assert_eq!(SigningSecret::try_from(shown.clone()).unwrap(), key.secret);
        assert!(!format!("{key:?}").contains(&shown[6..]));
        for text in ["", "whsec_", "whsec_c2hvcnQ=", "c29tZXRoaW5nIHRoYXQgaXMgbG9uZyBlbm91Z2g=", "whsec_%%%"]
        {
            assert!(SigningSecret::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_overlap_is_a_week_at_most() {
        assert!(Overlap::try_from(-1).is_err() && Overlap::try_from(169).is_err());
        assert_eq!(Overlap::default(), Overlap::try_from(24).unwrap());
    }
}
