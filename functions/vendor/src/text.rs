//! The words that vendors and operators choose: bounded, without control characters, and not to be swapped.

use serde::{Deserialize, Serialize};

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident up to $most:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Its text, without spaces around it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                let text = text.trim();
                let fits = (1..=$most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
                fits.then(|| Self(text.to_owned())).ok_or(concat!(
                    "must have 1 to ", $most, " characters and no control characters"
                ))
            }
        }
    )*};
}

texts! {
    /// What a network is called. 1 to 100 characters.
    VendorName up to 100;
    /// What a vendor calls one of its connectors. 1 to 64 characters.
    VendorConnectorId up to 64;
    /// What a vendor calls one of its sessions. 1 to 128 characters.
    VendorSessionId up to 128;
    /// What a driver holds to a reader. 1 to 36 characters, as in OCPP 2.0.1.
    IdTag up to 36;
}

impl VendorName {
    /// By which no two vendors are the same.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_text_is_neither_blank_nor_long_nor_more_than_a_line() {
        for text in ["", " ", "two\nlines", "nul\0", &"x".repeat(65)] {
            assert!(VendorConnectorId::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        assert_eq!(VendorConnectorId::try_from(" EVSE 1 ".to_owned()).unwrap().as_str(), "EVSE 1");
        assert!(VendorConnectorId::try_from("é".repeat(64)).is_ok());
    }

    #[test]
    fn a_name_is_the_same_in_any_case_and_script() {
        let folded = |name: &str| VendorName::try_from(name.to_owned()).unwrap().folded();
        assert_eq!(folded("ÉLECTRO Charge"), folded("électro CHARGE"));
    }
}
