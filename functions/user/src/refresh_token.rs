//! Refresh tokens: 256 bits that mean nothing by themselves; only their SHA-256 is kept. The first of a login is random;
//! each later one is derived from the one before and a random seed that is kept, so that whoever holds the one before
//! can be given the same answer again, and who reads what is kept learns no token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
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

    /// The one that follows upon this: the same for the same seed.
    pub(crate) fn successor(&self, seed: &Seed) -> Self {
        // A key of any length will do.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).unwrap_or_else(|_| unreachable!());
        mac.update(&seed.0);
        Self(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// SHA-256, hexadecimal: what the store knows it by. No salt: the token is random already.
    pub(crate) fn hash(&self) -> String {
        hex(&Sha256::digest(&self.0))
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

/// What makes a token's successor one that cannot be foreseen. Hexadecimal in the store.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Seed(Vec<u8>);

impl Seed {
    pub(crate) fn generate() -> Self {
        Self(rand::random::<[u8; 32]>().to_vec())
    }

    pub(crate) fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

impl TryFrom<String> for Seed {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        bytes.map(Self).ok_or("is not hexadecimal")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_successor_a_seed_and_another_token_has_others() {
        let (one, other) = (RefreshToken::generate(), RefreshToken::generate());
        let seed = Seed::generate();
        let kept = Seed::try_from(seed.to_hex());
        assert!(kept.is_ok_and(|kept| one.successor(&kept) == one.successor(&seed)));
        assert!(one.successor(&seed) != other.successor(&seed));
        assert!(one.successor(&seed) != one.successor(&Seed::generate()));
        assert_eq!(URL_SAFE_NO_PAD.decode(&one.successor(&seed).0).map(|bytes| bytes.len()), Ok(32));
        assert!(Seed::try_from("0".to_owned()).is_err() && Seed::try_from("zz".to_owned()).is_err());
    }

    #[test]
    fn a_token_is_256_bits_of_its_own() {
        let (one, other) = (RefreshToken::generate(), RefreshToken::generate());
        assert_eq!(URL_SAFE_NO_PAD.decode(&one.0).map(|bytes| bytes.len()), Ok(32));
        assert!(one != other);
        assert_eq!(one.hash().len(), 64);
    }
}
