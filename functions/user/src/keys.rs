//! The key pair of access tokens, in Secrets Manager: read at first use, kept, and read again when it may have
//! been rotated. Several public keys verify at a time, one private key signs. Rotated by `rotate_keys`.

use std::sync::Arc;

use aws_config::SdkConfig;
use chrono::TimeDelta;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::Deserialize;
use shared::{Failure, MissingSetting, Timestamp, setting};
use tokio::sync::Mutex;
use tracing::warn;

use crate::secret::Secret;

/// A key withdrawn from the secret is trusted no longer than this.
pub(crate) const MAX_AGE: TimeDelta = TimeDelta::minutes(10);
/// However many unknown key ids turn up, the secret is read no more often.
const MIN_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// The private key with its id.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
}

impl SigningKey {
    /// From the secret's text, `{"kid", "privateKey": PKCS #8 PEM}`; what else a rotation keeps there is no matter.
    pub(crate) fn parse(secret: &str) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            kid: String,
            private_key: String,
        }
        let document: Document =
            serde_json::from_str(secret).map_err(|_| Failure::fault("no signing secret"))?;
        let key = EncodingKey::from_ed_pem(document.private_key.as_bytes()).map_err(Failure::fault)?;
        Ok(Self { kid: document.kid, key })
    }
}

/// One public key with its id.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    pub(crate) kid: String,
    pub(crate) key: DecodingKey,
}

impl VerifyingKey {
    /// All of the secret's text, `{"keys": [{"kid", "publicKey": SPKI PEM}]}`.
    pub(crate) fn parse_all(secret: &str) -> Result<Vec<Self>, Failure> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Entry>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            kid: String,
            public_key: String,
        }
        let document: Document =
            serde_json::from_str(secret).map_err(|_| Failure::fault("no verifying secret"))?;
        let parse = |entry: Entry| {
            let key = DecodingKey::from_ed_pem(entry.public_key.as_bytes()).map_err(Failure::fault)?;
            Ok(Self { kid: entry.kid, key })
        };
        document.keys.into_iter().map(parse).collect()
    }
}

/// What was read from a secret, and when.
struct Kept<T> {
    value: Option<Arc<T>>,
    read_at: Timestamp,
    tried_at: Timestamp,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: None, read_at: Timestamp::MIN_UTC, tried_at: Timestamp::MIN_UTC }
    }
}

impl<T> Kept<T> {
    /// The value; read anew when it is old or `suffices` says that it will not do, but not again so soon. A value
    /// that cannot be replaced now is better than none.
    async fn get(
        &mut self,
        now: Timestamp,
        suffices: impl Fn(&T) -> bool,
        read: impl AsyncFnOnce() -> Result<T, Failure>,
    ) -> Result<Arc<T>, Failure> {
        if let Some(value) = &self.value {
            let is_good = now - self.read_at < MAX_AGE && suffices(value);
            if is_good || now - self.tried_at < MIN_PAUSE {
                return Ok(Arc::clone(value));
            }
        }
        self.tried_at = now;
        match (read().await, &self.value) {
            (Ok(value), _) => {
                let value = Arc::new(value);
                self.value = Some(Arc::clone(&value));
                self.read_at = now;
                Ok(value)
            }
            (Err(failure), Some(value)) => {
                warn!(cause = failure.causes(), "the keys of earlier stay in use");
                Ok(Arc::clone(value))
            }
            (Err(failure), None) => Err(failure),
        }
    }
}

/// The private key's secret.
pub(crate) struct SigningKeys {
    secret: Secret,
    kept: Mutex<Kept<SigningKey>>,
}

impl SigningKeys {
    pub(crate) fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(config, setting("JWT_SIGNING_SECRET_ARN")?))
    }

    pub(crate) fn new(config: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { secret: Secret::new(config, arn), kept: Mutex::default() }
    }

    pub(crate) async fn current(&self, now: Timestamp) -> Result<Arc<SigningKey>, Failure> {
        let read = async || SigningKey::parse(&self.secret.read().await?);
        self.kept.lock().await.get(now, |_| true, read).await
    }
}

/// The public keys' secret.
pub struct VerifyingKeys {
    secret: Secret,
    kept: Mutex<Kept<Vec<VerifyingKey>>>,
}

impl VerifyingKeys {
    /// From `JWT_VERIFYING_SECRET_ARN`; reads nothing yet.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(config, setting("JWT_VERIFYING_SECRET_ARN")?))
    }

    /// In the secret of that ARN; reads nothing yet.
    pub fn new(config: &SdkConfig, arn: impl Into<String>) -> Self {
        Self { secret: Secret::new(config, arn), kept: Mutex::default() }
    }

    /// The keys, as new as needed to know `kid` if it exists.
    pub(crate) async fn with(&self, kid: &str, now: Timestamp) -> Result<Arc<Vec<VerifyingKey>>, Failure> {
        let knows = |keys: &Vec<VerifyingKey>| keys.iter().any(|key| key.kid == kid);
        self.kept.lock().await.get(now, knows, async || self.read().await).await
    }

    /// All keys, no older than a minute where the secret can be read.
    pub(crate) async fn all(&self, now: Timestamp) -> Result<Arc<Vec<VerifyingKey>>, Failure> {
        self.kept.lock().await.get(now, |_| false, async || self.read().await).await
    }

    async fn read(&self) -> Result<Vec<VerifyingKey>, Failure> {
        VerifyingKey::parse_all(&self.secret.read().await?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::cell::Cell;

    use super::*;

    /// Asks at `second` for a value of which only `wanted` will do, from a secret that holds `held`.
    async fn get(
        kept: &mut Kept<u8>,
        second: i64,
        wanted: u8,
        held: Option<u8>,
        reads: &Cell<u32>,
    ) -> Option<u8> {
        let now = Timestamp::from_timestamp(1_000_000 + second, 0).unwrap();
        let read = async || {
            reads.set(reads.get() + 1);
            held.ok_or(Failure::Unavailable("the token service"))
        };
        kept.get(now, |value| *value == wanted, read).await.ok().map(|value| *value)
    }

    #[tokio::test]
    async fn a_secret_is_read_once_and_again_when_something_unknown_turns_up_each_minute_at_most() {
        let (mut kept, reads) = (Kept::default(), Cell::new(0));
        assert_eq!(get(&mut kept, 0, 1, Some(1), &reads).await, Some(1));
        assert_eq!(get(&mut kept, 500, 1, Some(1), &reads).await, Some(1));
        assert_eq!(reads.get(), 1);
        assert_eq!(get(&mut kept, 510, 2, Some(2), &reads).await, Some(2));
        assert_eq!(reads.get(), 2);
        for second in 511..569 {
            get(&mut kept, second, 3, Some(2), &reads).await;
        }
        assert_eq!(reads.get(), 2);
        get(&mut kept, 571, 3, Some(2), &reads).await;
        assert_eq!(reads.get(), 3);
    }

    #[tokio::test]
    async fn a_withdrawn_key_is_forgotten_after_ten_minutes() {
        let (mut kept, reads) = (Kept::default(), Cell::new(0));
        get(&mut kept, 0, 1, Some(1), &reads).await;
        assert_eq!(get(&mut kept, 601, 1, Some(2), &reads).await, Some(2));
    }

    #[tokio::test]
    async fn with_the_secret_out_of_reach_the_known_keys_stay() {
        let (mut kept, reads) = (Kept::default(), Cell::new(0));
        assert_eq!(get(&mut kept, 0, 1, None, &reads).await, None);
        assert_eq!(get(&mut kept, 1, 1, Some(1), &reads).await, Some(1));
        assert_eq!(get(&mut kept, 700, 1, None, &reads).await, Some(1));
    }
}
