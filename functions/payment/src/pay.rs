//! Paying an invoice, and adding money to the wallet by card.

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{Caller, Currency, Failure, InvoiceId, Money, Timestamp};

use crate::Payments;
use crate::amount::Amount;
use crate::key::IdempotencyKey;
use crate::payment::{Begun, Payment, Record};
use crate::store::{self, Asked, Beginning};
use crate::tokens::PaymentMethod;

/// In whole units of the wallet's currency.
const LEAST_TOP_UP: u32 = 5;
const MOST_TOP_UP: u32 = 500;

/// Arguments of `Mutation.payInvoice`.
#[derive(Debug, Deserialize)]
pub struct PayInvoice {
    input: PayInvoiceInput,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayInvoiceInput {
    invoice_id: InvoiceId,
    use_wallet: Option<bool>,
    payment_method: Option<PaymentMethod>,
    idempotency_key: IdempotencyKey,
}

/// Arguments of `Mutation.topUpWallet`.
#[derive(Debug, Deserialize)]
pub struct TopUpWallet {
    input: TopUpWalletInput,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopUpWalletInput {
    amount: Amount,
    currency: Currency,
    payment_method: PaymentMethod,
    idempotency_key: IdempotencyKey,
}

/// Pays what is due of one of the caller's invoices: the wallet's part at once, the card's by the provider.
pub async fn pay_invoice(
    payments: &Payments,
    caller: &Caller,
    PayInvoice { input }: PayInvoice,
) -> Result<Payment, Failure> {
    let use_wallet = input.use_wallet.unwrap_or(true);
    if !use_wallet && input.payment_method.is_none() {
        return Err(Failure::invalid("input.paymentMethod", "is needed when the wallet is not used"));
    }
    let request = json!({
        "purpose": "INVOICE",
        "invoiceId": input.invoice_id,
        "useWallet": use_wallet,
        "paymentMethod": input.payment_method,
    });
    payments.pay(caller, request, &input.idempotency_key).await
}

/// Charges a card and adds that to the caller's wallet.
pub async fn top_up(
    payments: &Payments,
    caller: &Caller,
    TopUpWallet { input }: TopUpWallet,
) -> Result<Payment, Failure> {
    let money = input.money()?;
    let request = json!({
        "purpose": "TOP_UP",
        "amount": money.amount(),
        "currency": money.currency(),
        "paymentMethod": input.payment_method,
    });
    payments.pay(caller, request, &input.idempotency_key).await
}

impl TopUpWalletInput {
    fn money(&self) -> Result<Money, Failure> {
        let (amount, digits) = (self.amount.0, self.currency.minor_digits());
        if !(Decimal::from(LEAST_TOP_UP)..=Decimal::from(MOST_TOP_UP)).contains(&amount) {
            let message = format!("must be from {LEAST_TOP_UP} to {MOST_TOP_UP}");
            return Err(Failure::invalid("input.amount", message));
        }
        if amount.normalize().scale() > digits {
            let message = format!("has more than the {digits} decimals of {}", self.currency);
            return Err(Failure::invalid("input.amount", message));
        }
        Ok(Money::new(amount, self.currency).rounded())
    }
}

impl Payments {
    async fn pay(&self, caller: &Caller, request: Value, key: &IdempotencyKey) -> Result<Payment, Failure> {
        let asked = Asked { payer: caller.user()?.id, request, key: key.hash() };
        let payment = match store::begin(&self.outbox, asked, caller.at, caller.correlation_id).await? {
            Beginning::Begun { payment } => *payment,
            refusal => return Err(refused(&refusal)),
        };
        self.drive_or_leave(payment, caller.at).await
    }

    /// Charges the card of a payment that another context has begun, as far as the provider answers in time. If it does
    /// not, the payment is told as it was, and looked after later.
    pub async fn charge(&self, begun: Begun, now: Timestamp) -> Result<Payment, Failure> {
        self.drive_or_leave(begun.0, now).await
    }

    /// Goes on as far as the provider answers. If it does not, that is no failure of the request: the payment stands, and
    /// is looked after.
    async fn drive_or_leave(&self, payment: Record, now: Timestamp) -> Result<Payment, Failure> {
        match Self::while_waited_for(self.drive(payment.clone(), now)).await {
            Ok(driven) => Ok(driven.payment.shown(driven.client_secret)),
            Err(Failure::Unavailable(_)) => Ok(payment.shown(None)),
            Err(failure) => Err(failure),
        }
    }
}

fn refused(refusal: &Beginning) -> Failure {
    match refusal {
        Beginning::NoInvoice => Failure::NotFound("invoice"),
        // A token may outlive its account by a little.
        Beginning::NoAccount | Beginning::Begun { .. } => Failure::Unauthenticated("log in first"),
        Beginning::NothingDue => Failure::conflict("NOTHING_DUE", "nothing is due for this invoice"),
        Beginning::PaymentPending => {
            Failure::conflict("PAYMENT_PENDING", "a payment of this invoice has begun and is not over yet")
        }
        Beginning::InsufficientFunds => {
            Failure::conflict("INSUFFICIENT_FUNDS", "the wallet does not hold enough, and no card was named")
        }
        Beginning::CurrencyMismatch => {
            Failure::conflict("CURRENCY_MISMATCH", "the wallet holds another currency")
        }
        Beginning::CardAmountTooSmall => Failure::conflict(
            "CARD_AMOUNT_TOO_SMALL",
            "what would be left for the card is less than a card can be charged; pay all of it by card, or top up first",
        ),
        Beginning::CardAmountTooFine => Failure::conflict(
            "CARD_AMOUNT_TOO_FINE",
            "a card cannot be charged exactly this in this currency; pay from the wallet",
        ),
        Beginning::KeyReused => {
            Failure::conflict("IDEMPOTENCY_KEY_REUSED", "this key was used for another payment")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn top_up_of(amount: &str, currency: &str) -> Result<String, String> {
        let arguments = json!({ "input": {
            "amount": amount, "currency": currency, "paymentMethod": "pm_card_visa", "idempotencyKey": "k1",
        } });
        let TopUpWallet { input } = shared::read_fields(arguments).map_err(|failure| failure.to_string())?;
        input.money().map(|money| money.to_string()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_top_up_is_from_5_to_500_in_coins_of_its_currency() {
        assert_eq!(top_up_of("5", "EUR"), Ok("5.00 EUR".into()));
        assert_eq!(top_up_of("500.00", "EUR"), Ok("500.00 EUR".into()));
        // The same request, however it is written.
        assert_eq!(top_up_of("50.0", "EUR"), top_up_of("50.00", "EUR"));
        for (amount, currency) in
            [("4.99", "EUR"), ("500.01", "EUR"), ("5.005", "EUR"), ("50.5", "JPY"), ("5", "eur")]
        {
            assert!(top_up_of(amount, currency).is_err(), "{amount} {currency}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_never_what_was_in_it() {
        let number = "4242424242424242";
        let input = |field: &str| {
            let mut input = json!({
                "amount": "50.00", "currency": "EUR", "paymentMethod": "pm_card_visa", "idempotencyKey": "k1",
            });
            input[field] = json!(number);
            json!({ "input": input })
        };
        for field in ["amount", "currency", "paymentMethod"] {
            let failure = shared::read_fields::<TopUpWallet>(input(field)).unwrap_err().to_string();
            assert!(failure.starts_with(&format!("input.{field}: ")), "{failure}");
            assert!(!failure.contains(number), "{failure}");
        }
        let pay = json!({ "input": { "invoiceId": number, "idempotencyKey": number } });
        assert!(!shared::read_fields::<PayInvoice>(pay).unwrap_err().to_string().contains(number));
    }
}
