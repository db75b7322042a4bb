//! Passwords at rest: argon2id, m = 19 MiB, t = 2, p = 1 (OWASP's minimum).

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use shared::Failure;

use crate::credentials::Password;

/// What a password is held against when there is no account: of the same cost, and matched by nothing, because no
/// password is behind it.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGxpdmVzIGhlcmU$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The PHC string to keep.
pub(crate) fn hash(password: &Password) -> Result<String, Failure> {
    let params = Params::new(19_456, 2, 1, None).map_err(|error| Failure::fault(error.to_string()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash =
        argon2.hash_password(password.as_bytes()).map_err(|error| Failure::fault(error.to_string()))?;
    Ok(hash.to_string())
}

/// Whether `password` is the account's. Takes as long when there is no account, so that time tells nobody which
/// addresses have one.
pub(crate) fn verify(password: &Password, hash: Option<&str>) -> Result<bool, Failure> {
    let parsed =
        PasswordHash::new(hash.unwrap_or(NOBODY)).map_err(|error| Failure::fault(error.to_string()))?;
    Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && hash.is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn password(text: &str) -> Password {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn only_the_right_password_matches() {
        let hash = hash(&password("correct horse battery")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify(&password("correct horse battery"), Some(&hash)).unwrap());
        assert!(!verify(&password("correct horse batterz"), Some(&hash)).unwrap());
    }

    #[test]
    fn nobody_costs_what_an_account_costs_and_never_matches() {
        let of = |phc: &str| PasswordHash::new(phc).unwrap().params.to_string();
        let hash = hash(&password("correct horse battery")).unwrap();
        assert_eq!(of(NOBODY), of(&hash));
        assert!(!verify(&password("correct horse battery"), None).unwrap());
    }
}
