//! The client's name for one request, under which it is carried out once.

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Of 1 to 64 visible ASCII characters. Only its hash is kept: whatever a client writes there, no table shows it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// SHA-256, hexadecimal.
    pub(crate) fn hash(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic()) {
            Ok(Self(Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()))
        } else {
            Err("must have 1 to 64 visible ASCII characters")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bounded_and_kept_as_its_hash() {
        for text in [String::new(), "k".repeat(65), "a b".to_owned(), "ü".to_owned()] {
            assert!(IdempotencyKey::try_from(text).is_err());
        }
        let key = IdempotencyKey::try_from("4242424242424242".to_owned());
        assert!(key.is_ok_and(|key| key.hash().len() == 64 && !key.hash().contains("4242424242424242")));
    }
}
