//! The provider's names for its things. Parsed, so that none can be a card's number or break out of an address.

use std::fmt;

use serde::{Deserialize, Serialize};

use shared::holds_card_number;

/// Of letters, digits and underscores, after one of `prefixes`.
fn is_token(text: &str, prefixes: &[&str], most: usize) -> bool {
    let rest = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    rest.is_some_and(|rest| {
        (1..=most).contains(&rest.len()) && rest.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
    })
}

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident, $prefixes:expr, $message:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// As the provider writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                if is_token(&text, &$prefixes, 64) && !holds_card_number(&text) {
                    Ok(Self(text))
                } else {
                    Err($message)
                }
            }
        }

        impl From<$name> for String {
            fn from(token: $name) -> Self {
                token.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

tokens! {
    /// What a driver pays with: the provider's token of a card, `pm_…`.
    PaymentMethod, ["pm_", "card_", "src_"], "must be the provider's token of a payment method, such as pm_…";
    /// One attempt to charge a card, `pi_…`.
    IntentRef, ["pi_"], "must be a payment intent";
    /// One giving back to a card, `re_…`.
    RefundRef, ["re_", "pyr_"], "must be a refund";
    /// One thing that the provider tells of, `evt_…`.
    EventRef, ["evt_"], "must be an event";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        PaymentMethod::try_from(text.to_owned()).is_err()
    }

    #[test]
    fn a_payment_method_is_a_token_and_never_a_number() {
        for token in ["pm_1OqYwZ2eZvKYlo2CkH8f3AbC", "card_1Oq", "src_x", "pm_card_visa"] {
            assert!(!refused(token), "{token}");
        }
        for text in ["", "pm_", "tok_1", "4242424242424242", "pm_1/../refunds", "pm_1?x", "pm_ü", "PM_1"] {
            assert!(refused(text), "{text}");
        }
        assert!(refused(&format!("pm_{}", "a".repeat(65))));
    }

    #[test]
    fn a_number_in_a_tokens_clothes_is_refused() {
        for line in
            include_str!("../../../shared/tests/pans.txt").lines().filter(|line| !line.starts_with('#'))
        {
            assert!(
                refused(line) && refused(&format!("pm_{line}")) && refused(&format!("card_x{line}y")),
                "{line}"
            );
        }
    }
}
