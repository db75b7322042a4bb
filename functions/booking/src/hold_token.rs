//! The name of a hold, which is also the right to confirm it.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use rand::Rng;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};
use shared::Timestamp;

/// 131 bits: nobody guesses another's.
const RANDOM: usize = 22;

/// `hold_<unix milliseconds>_<22 letters and digits>`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HoldToken(String);

const NO_TOKEN: &str = "must be the token of a hold, such as hold_1704103200000_8Jd0sQm2Xb7LkTfWc4Vn1R";

impl HoldToken {
    /// A new one, of a hold taken now.
    pub fn new(now: Timestamp) -> Self {
        let random: String = rand::rng().sample_iter(Alphanumeric).take(RANDOM).map(char::from).collect();
        Self(format!("hold_{}_{random}", now.timestamp_millis()))
    }

    /// Its text, for a store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the hold was taken, by the token's own word: of a token that nobody knows any more it tells whether it
    /// can have lapsed.
    pub fn taken_at(&self) -> Timestamp {
        let millis = parts(&self.0).map(|(millis, _)| millis).unwrap_or_default();
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }
}

fn parts(text: &str) -> Option<(i64, &str)> {
    let (millis, random) = text.strip_prefix("hold_")?.split_once('_')?;
    let is_number = (1..=14).contains(&millis.len()) && millis.bytes().all(|c| c.is_ascii_digit());
    let is_random = random.len() == RANDOM && random.bytes().all(|c| c.is_ascii_alphanumeric());
    (is_number && is_random).then_some((millis.parse().ok()?, random))
}

impl FromStr for HoldToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parts(text).map(|_| Self(text.to_owned())).ok_or(NO_TOKEN)
    }
}

impl TryFrom<String> for HoldToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HoldToken> for String {
    fn from(token: HoldToken) -> Self {
        token.0
    }
}

impl fmt::Display for HoldToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not the random part: what is logged by accident confirms no booking.
impl fmt::Debug for HoldToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HoldToken(taken at {})", self.taken_at())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_survives_text_and_tells_when_it_was_taken() {
        let now: Timestamp = "2026-11-21T10:00:00.123Z".parse().unwrap();
        let token = HoldToken::new(now);
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert_eq!(token.taken_at(), now);
        assert_ne!(token, HoldToken::new(now));
        assert!(!format!("{token:?}").contains(token.as_str().rsplit('_').next().unwrap()));
    }

    #[test]
    fn a_token_passes_for_no_cards_number() {
        for minute in 0..20_000 {
            let token = HoldToken::new(chrono::Utc::now() + chrono::TimeDelta::minutes(minute));
            assert!(!shared::holds_card_number(token.as_str()), "{token}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [
            "",
            "hold_1_2",
            "hold_-1_8Jd0sQm2Xb7LkTfWc4Vn1R",
            "hold_1704103200000_8Jd0sQm2Xb7LkTfWc4Vn1",
            "hold_1704103200000_8Jd0sQm2Xb7LkTfWc4Vn1;",
            "hold_1704103200000_8Jd0sQm2Xb7LkTfWc4Vn1R ",
            "hold_123456789012345_8Jd0sQm2Xb7LkTfWc4Vn1R",
            "block",
        ] {
            assert_eq!(text.parse::<HoldToken>(), Err(NO_TOKEN), "{text}");
        }
    }
}
