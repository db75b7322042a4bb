//! Why somebody with the right to do so changed what is another's: kept in the audit log.

use serde::Deserialize;

/// 1 to 200 characters, none of them control characters.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Reason(String);

impl Reason {
    /// Its text, without spaces around it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let reason = text.trim();
        if (1..=200).contains(&reason.chars().count()) && !reason.chars().any(char::is_control) {
            Ok(Self(reason.to_owned()))
        } else {
            Err("must have 1 to 200 characters and no control characters")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_neither_blank_nor_long_nor_more_than_a_line() {
        for text in [" ", &"x".repeat(201), "two\nlines"] {
            assert!(Reason::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert_eq!(
            Reason::try_from(" goodwill ".to_owned()).map(|reason| reason.0),
            Ok("goodwill".to_owned())
        );
    }
}
