//! What people type to open an account or to log in, parsed into types that hold nothing else.

use serde::{Deserialize, Serialize};
use shared::Failure;

/// An e-mail address in lower case, up to 254 characters: an account's name. Never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_local = |text: &str| {
            (1..=64).contains(&text.len())
                && !text.starts_with('.')
                && !text.ends_with('.')
                && !text.contains("..")
                && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&c))
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        };
        let is_domain = |text: &str| text.contains('.') && text.split('.').all(is_label);
        match text.split_once('@') {
            Some((local, domain)) if text.len() <= 254 && is_local(local) && is_domain(domain) => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err("is not an e-mail address of up to 254 characters"),
        }
    }
}

/// A person's name: 1 to 100 characters, no control characters, no space around it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name = text.trim();
        if (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err("must have 1 to 100 characters and no control characters")
        }
    }
}

/// A password: 12 to 256 characters. Never logged, hashed at once.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Password(String);

impl Password {
    /// Its bytes, for hashing.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Refuses what a guesser tries first: the account's own words, or next to no variety. `field` is where the client
    /// wrote it.
    pub(crate) fn check_for(&self, email: &Email, name: &Name, field: &'static str) -> Result<(), Failure> {
        let password = self.0.to_lowercase();
        let is_own_word = password == email.0 || password == name.0.to_lowercase();
        let mut characters: Vec<char> = password.chars().collect();
        characters.sort_unstable();
        characters.dedup();
        if is_own_word || characters.len() < 5 {
            return Err(Failure::invalid(field, "is too easy to guess"));
        }
        Ok(())
    }
}

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (12..=256).contains(&text.chars().count()) {
            Ok(Self(text))
        } else {
            Err("must have 12 to 256 characters")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn email(text: &str) -> Result<String, &'static str> {
        Email::try_from(text.to_owned()).map(|email| email.0)
    }

    #[test]
    fn one_mailbox_has_one_spelling() {
        assert_eq!(email("Ada.Lovelace+EV@Example.COM"), Ok("ada.lovelace+ev@example.com".into()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", "b.".repeat(130));
        for text in [
            "",
            "@",
            "a@",
            "@b.c",
            "a@b",
            "a b@c.de",
            "a@b@c.de",
            "a@-b.de",
            "a@b..de",
            ".a@b.de",
            "a..b@c.de",
            "a@b.de\n",
            "a@b.de\0",
            "ä@b.de",
            "\"a\"@b.de",
            "a@[127.0.0.1]",
            &long,
            &longer,
        ] {
            assert!(email(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        let name = |text: &str| Name::try_from(text.to_owned()).map(|name| name.0);
        assert_eq!(name("  Ada  "), Ok("Ada".into()));
        assert!(name(" \t ").is_err());
        assert!(name("A\u{0}da").is_err());
        assert!(name(&"ä".repeat(100)).is_ok());
        assert!(name(&"ä".repeat(101)).is_err());
    }

    #[test]
    fn a_password_that_anyone_would_try_is_refused() {
        let password = |text: &str| Password::try_from(text.to_owned()).unwrap();
        let email = Email::try_from("ada.lovelace@example.com".to_owned()).unwrap();
        let name = Name::try_from("Augusta Ada King".to_owned()).unwrap();
        let field = "input.password";
        for weak in ["Ada.Lovelace@example.com", "AUGUSTA ADA KING", "aaaaaaaaaaaaaaaa", "121212121212"] {
            assert!(password(weak).check_for(&email, &name, field).is_err(), "{weak}");
        }
        assert!(password("SecurePass123").check_for(&email, &name, field).is_ok());
        assert!(password("correct horse battery").check_for(&email, &name, field).is_ok());
        assert!(Password::try_from("short".to_owned()).is_err());
        assert!(Password::try_from("x".repeat(257)).is_err());
    }
}
