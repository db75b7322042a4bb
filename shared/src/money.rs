//! Money: an exact decimal and its currency. Never a float, never added across currencies.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// An ISO 4217 code of three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The euro, the currency of new wallets.
    pub const EUR: Self = Self(*b"EUR");

    /// The code, `EUR`.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point of its smallest coin (ISO 4217; the currencies of the mirrored countries).
    pub fn minor_digits(self) -> u32 {
        match &self.0 {
            b"JPY" | b"KRW" | b"ISK" | b"CLP" | b"VND" => 0,
            b"BHD" | b"KWD" | b"JOD" | b"TND" | b"OMR" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| MoneyError::NoCurrency)?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code)).ok_or(MoneyError::NoCurrency)
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in a currency; on the wire `{"amount": "12.50", "currency": "EUR"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// What cannot be done with money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not three capital letters.
    #[error("must be an ISO 4217 currency code such as EUR")]
    NoCurrency,
    /// Two currencies met.
    #[error("amounts in {0} and {1} cannot be combined")]
    Mixed(Currency, Currency),
    /// The sum is beyond what a decimal holds.
    #[error("the amount is too large")]
    Overflow,
}

impl Money {
    /// An exact amount, rounded only by [`Money::rounded`].
    pub fn new(amount: Decimal, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// The amount in whole units of the currency.
    pub fn amount(self) -> Decimal {
        self.amount
    }

    /// Its currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// To the smallest coin, halves away from zero: the rounding of invoices, done once, on the total.
    pub fn rounded(self) -> Self {
        let digits = self.currency.minor_digits();
        let mut amount = self.amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
        amount.rescale(digits);
        Self { amount, ..self }
    }

    /// The sum of two amounts of one currency.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed(self.currency, other.currency));
        }
        let amount = self.amount.checked_add(other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn eur(amount: &str) -> Money {
        Money::new(amount.parse().unwrap(), Currency::EUR)
    }

    #[test]
    fn halves_round_away_from_zero_to_the_smallest_coin() {
        assert_eq!(eur("1.005").rounded().amount().to_string(), "1.01");
        assert_eq!(eur("-1.005").rounded().amount().to_string(), "-1.01");
        assert_eq!(eur("3").rounded().amount().to_string(), "3.00");
        let yen = Money::new("99.5".parse().unwrap(), "JPY".parse().unwrap());
        assert_eq!(yen.rounded().to_string(), "100 JPY");
    }

    #[test]
    fn currencies_never_mix() {
        let dollars = Money::new(Decimal::ONE, "USD".parse().unwrap());
        assert_eq!(eur("1").plus(dollars), Err(MoneyError::Mixed(Currency::EUR, dollars.currency())));
    }

    #[test]
    fn an_amount_is_a_string_on_the_wire() {
        let wire = serde_json::to_string(&eur("12.50")).unwrap();
        assert_eq!(wire, r#"{"amount":"12.50","currency":"EUR"}"#);
        assert_eq!(serde_json::from_str::<Money>(&wire).unwrap(), eur("12.50"));
    }
}
