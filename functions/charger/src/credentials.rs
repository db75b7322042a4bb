//! HTTP Basic credentials of a charger (OCPP security profiles 1 and 2), and how its password is kept.

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared::Failure;

/// What an unknown charger's password is checked against, so that the answer takes as long as for a known one:
/// argon2id of nobody's password, with the parameters that [`PasswordHash::of`] uses.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ibw$MLyUDmfcLOa8bBHIXMgTyL8pu8BgZ3hK0uVJoUIcYjA";

/// The credentials of an `Authorization` header.
#[derive(PartialEq, Eq)]
pub(crate) struct Basic {
    pub(crate) user: String,
    pub(crate) password: Vec<u8>,
}

impl Basic {
    /// None when the header is not HTTP Basic. Passwords may hold any byte (OCPP 1.6's are hexadecimal keys sent raw
    /// by some firmware), and colons: the first one ends the user name.
    pub(crate) fn read(header: &str) -> Option<Self> {
        let (scheme, encoded) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let user = std::str::from_utf8(&decoded[..colon]).ok()?.to_owned();
        Some(Self { user, password: decoded[colon + 1..].to_vec() })
    }
}

/// An argon2id hash as a PHC string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash of a new password, with a salt of its own (19 MiB, 2 passes: some 20 ms).
    pub fn of(password: &[u8]) -> Result<Self, Failure> {
        let hash =
            Argon2::default().hash_password(password).map_err(|error| Failure::fault(error.to_string()))?;
        Ok(Self(hash.to_string()))
    }

    /// The PHC string, for the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `password` is the one whose PHC string is `hash`; never without a hash, which takes as long.
pub fn verify(password: &[u8], hash: Option<&str>) -> bool {
    let matches = Argon2::default().verify_password(password, hash.unwrap_or(NOBODY)).is_ok();
    matches && hash.is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn header(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn checklist_19_the_first_colon_ends_the_user_name() {
        let basic = Basic::read(&header("CP-1:se:cr:et")).unwrap();
        assert_eq!(basic.user, "CP-1");
        assert_eq!(basic.password, b"se:cr:et");
    }

    #[test]
    fn anything_but_basic_credentials_is_none() {
        for text in ["", "Basic", "Basic !", "Bearer abc", &header("no colon")] {
            assert!(Basic::read(text).is_none(), "{text:?}");
        }
        assert!(Basic::read(&header("CP-1:x").replace("Basic", "bAsIc")).is_some());
    }

    #[test]
    fn a_password_matches_its_own_hash_alone() {
        let hash = PasswordHash::of(b"correct horse battery").unwrap();
        assert!(verify(b"correct horse battery", Some(hash.as_str())));
        assert!(!verify(b"correct horse", Some(hash.as_str())));
        assert!(!verify(b"correct horse battery", None));
    }

    #[test]
    fn an_unknown_charger_costs_a_whole_hash() {
        let nobody = argon2::password_hash::phc::PasswordHash::new(NOBODY).unwrap();
        let somebody = PasswordHash::of(b"x").unwrap();
        let somebody = argon2::password_hash::phc::PasswordHash::new(somebody.as_str()).unwrap();
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.hash.unwrap().len(), somebody.hash.unwrap().len());
    }
}
