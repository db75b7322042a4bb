//! Wallets: their ledgers, and what operators add to or take from them by hand.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use shared::{
    Caller, Currency, Cursor, Database, Failure, First, Money, Page, Reason, Role, Timestamp, UserId,
};
use uuid::Uuid;

use crate::invoices::whose;
use crate::store;

/// The most that one request adds or takes, in whole units of any currency.
const MOST: u32 = 10_000;

/// Arguments of `Mutation.creditWallet` and `Mutation.debitWallet`.
#[derive(Debug, Deserialize)]
pub struct AdjustWallet {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    user_id: UserId,
    amount: Amount,
    currency: Currency,
    reason: Reason,
    idempotency_key: IdempotencyKey,
}

/// Above zero, up to [`MOST`]; digits with at most one point, as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Amount(Decimal);

impl TryFrom<String> for Amount {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_plain = text.len() <= 12
            && text.bytes().all(|c| c.is_ascii_digit() || c == b'.')
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.ends_with(|c: char| c.is_ascii_digit());
        match Decimal::from_str_exact(&text) {
            Ok(amount) if is_plain && amount > Decimal::ZERO && amount <= Decimal::from(MOST) => {
                Ok(Self(amount))
            }
            _ => Err("must be a decimal above 0 and up to 10000, such as 50.00"),
        }
    }
}

/// 1 to 64 visible ASCII characters.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct IdempotencyKey(String);

impl TryFrom<String> for IdempotencyKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err("must have 1 to 64 visible ASCII characters")
        }
    }
}

/// GraphQL `WalletEntry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WalletEntry {
    /// Its id.
    pub id: Uuid,
    /// Whose wallet.
    pub user_id: UserId,
    /// Its place in the ledger, for cursors alone.
    #[serde(skip_serializing)]
    position: i64,
    /// What was added; below zero: taken.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub amount: Money,
    /// The wallet after it.
    #[serde(serialize_with = "store::to_the_smallest_coin")]
    pub balance: Money,
    /// Why.
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
}

/// What to write.
pub(crate) struct Adjustment<'a> {
    pub(crate) entry: Uuid,
    pub(crate) user: UserId,
    /// Above zero to add, below to take.
    pub(crate) change: Money,
    pub(crate) reason: &'a str,
    pub(crate) operator: UserId,
    pub(crate) idempotency_key: &'a str,
}

/// What came of it.
#[derive(Debug, Deserialize)]
#[serde(tag = "result", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Adjusted {
    /// Now, or when the same request came before.
    Done {
        entry: WalletEntry,
    },
    NoUser,
    CurrencyMismatch,
    InsufficientFunds,
    KeyReused,
}

/// Arguments of `Query.walletEntries`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListWalletEntries {
    user_id: Option<UserId>,
    first: Option<First>,
    after: Option<Cursor>,
}

/// Adds money to a driver's wallet, once for each of the operator's keys.
pub async fn credit(
    database: &Database,
    caller: &Caller,
    AdjustWallet { input }: AdjustWallet,
) -> Result<WalletEntry, Failure> {
    adjust(database, caller, &input, Decimal::ONE).await
}

/// Takes money from a driver's wallet, no more than it holds, once for each of the operator's keys.
pub async fn debit(
    database: &Database,
    caller: &Caller,
    AdjustWallet { input }: AdjustWallet,
) -> Result<WalletEntry, Failure> {
    adjust(database, caller, &input, Decimal::NEGATIVE_ONE).await
}

/// A wallet's ledger, newest first: the caller's own; an operator may name another account.
pub async fn wallet_entries(
    database: &Database,
    caller: &Caller,
    ListWalletEntries { user_id, first, after }: ListWalletEntries,
) -> Result<Page<WalletEntry>, Failure> {
    let owner = whose(caller, user_id)?;
    let first = first.unwrap_or_default();
    let after = after.map(|cursor| cursor.key::<i64>()).transpose()?;
    let rows = store::wallet_entries(database, owner, after, first.with_lookahead()).await?;
    Page::of(first, rows, |entry| entry.position)
}

async fn adjust(
    database: &Database,
    caller: &Caller,
    input: &Input,
    sign: Decimal,
) -> Result<WalletEntry, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    let money = input.money()?;
    let adjustment = Adjustment {
        entry: Uuid::now_v7(),
        user: input.user_id,
        change: Money::new(money.amount() * sign, money.currency()),
        reason: input.reason.as_str(),
        operator,
        idempotency_key: &input.idempotency_key.0,
    };
    match store::adjust(database, &adjustment, caller.at, caller.correlation_id).await? {
        Adjusted::Done { entry } => Ok(entry),
        Adjusted::NoUser => Err(Failure::NotFound("user")),
        Adjusted::CurrencyMismatch => {
            Err(Failure::conflict("CURRENCY_MISMATCH", "the wallet holds another currency"))
        }
        Adjusted::InsufficientFunds => {
            Err(Failure::conflict("INSUFFICIENT_FUNDS", "the wallet does not hold that much"))
        }
        Adjusted::KeyReused => {
            Err(Failure::conflict("IDEMPOTENCY_KEY_REUSED", "this key was used for another request"))
        }
    }
}

impl Input {
    fn money(&self) -> Result<Money, Failure> {
        let digits = self.currency.minor_digits();
        if self.amount.0.scale() > digits {
            let message = format!("has more than the {digits} decimals of {}", self.currency);
            return Err(Failure::invalid("input.amount", message));
        }
        Ok(Money::new(self.amount.0, self.currency))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    fn input(amount: &str, currency: &str) -> Result<Money, String> {
        let arguments = json!({ "input": {
            "userId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf8", "amount": amount, "currency": currency,
            "reason": "Goodwill", "idempotencyKey": "k1",
        } });
        let credit: AdjustWallet = serde_json::from_value(arguments).map_err(|error| error.to_string())?;
        credit.input.money().map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_amount_is_a_plain_decimal_with_the_coins_of_its_currency() {
        assert_eq!(input("50.00", "EUR").unwrap().to_string(), "50.00 EUR");
        assert_eq!(input("10000", "EUR").unwrap().to_string(), "10000 EUR");
        assert_eq!(input("1.125", "KWD").unwrap().to_string(), "1.125 KWD");
        for (amount, currency) in [
            ("0", "EUR"),
            ("0.00", "EUR"),
            ("-5", "EUR"),
            ("+5", "EUR"),
            ("10000.01", "EUR"),
            ("1.005", "EUR"),
            ("1.5", "JPY"),
            ("1e3", "EUR"),
            ("1_000", "EUR"),
            ("1,00", "EUR"),
            (".5", "EUR"),
            ("5.", "EUR"),
            ("", "EUR"),
            (" 5", "EUR"),
            ("NaN", "EUR"),
            ("٥", "EUR"),
            ("0.0000000000001", "EUR"),
            ("5", "eur"),
            ("5", "EURO"),
        ] {
            assert!(input(amount, currency).is_err(), "{amount} {currency}");
        }
    }

    #[test]
    fn keys_are_bounded() {
        assert!(IdempotencyKey::try_from(String::new()).is_err());
        assert!(IdempotencyKey::try_from("k".repeat(65)).is_err());
        assert!(IdempotencyKey::try_from("a b".to_owned()).is_err());
    }
}
