//! Refresh tokens: 256 random bits that mean nothing by themselves; only their SHA-256 is kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::Timestamp;

/// A refresh token, as the app holds it: base64url text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RefreshToken(String);

impl RefreshToken {
    pub(crate) fn generate() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    /// SHA-256, hexadecimal: what the store knows it by. No salt: the token is random already.
    pub(crate) fn hash(&self) -> String {
        Sha256::digest(&self.0).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// When one that is issued now can be used no longer: 30 days.
    pub(crate) fn expiry(now: Timestamp) -> Timestamp {
        now + TimeDelta::days(30)
    }
}

impl TryFrom<String> for RefreshToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=256).contains(&text.len()) { Ok(Self(text)) } else { Err("is not a refresh token") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_256_bits_of_its_own() {
        let (one, other) = (RefreshToken::generate(), RefreshToken::generate());
        assert_eq!(URL_SAFE_NO_PAD.decode(&one.0).map(|bytes| bytes.len()), Ok(32));
        assert!(one != other);
        assert_eq!(one.hash().len(), 64);
    }
}
