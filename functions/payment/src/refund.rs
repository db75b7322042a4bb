//! Giving money back for an invoice, by an operator's hand.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    Caller, Currency, Failure, InvoiceId, Money, Reason, RefundId, Role, Timestamp, holds_card_number,
};
use tracing::{error, info};

use crate::Payments;
use crate::amount::Amount;
use crate::key::IdempotencyKey;
use crate::limits::smallest_units;
use crate::provider::{CardRefund, CardRefundStatus, Trouble};
use crate::store::{self, RefundAsked, RefundBeginning};
use crate::tokens::{IntentRef, RefundRef};

/// Refusals that say of the card that it never takes the money: the provider's, and ours of what has no smallest unit.
/// Any other leaves open where the money is (the card may have got it back already), or is about us: a key, an account
/// that lacks it for now, a request of ours. An operator decides, and meanwhile it is tried again.
const FINAL: [&str; 2] = ["charge_not_refundable", NO_UNITS];
const NO_UNITS: &str = "amount_not_refundable";
/// Of a refund that failed later: the bank took the money itself, for the driver, who must not get it twice.
const DISPUTED: &str = "charge_for_pending_refund_disputed";

/// Arguments of `Mutation.refundInvoice`.
#[derive(Debug, Deserialize)]
pub struct RefundInvoice {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    invoice_id: InvoiceId,
    amount: Option<Amount>,
    #[serde(default)]
    to: Target,
    reason: Reason,
    idempotency_key: IdempotencyKey,
}

/// Where the money goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Target {
    /// To the card what the card paid, the rest to the wallet.
    #[default]
    Origin,
    Wallet,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    /// The wallet's part is done, the card's is with the provider.
    Pending,
    /// The provider refused the card's part, and only people can find out where the money is, or no wallet can take
    /// it. The provider is asked again each day, until it takes it or an operator settles it.
    Held,
    /// All is given back.
    Succeeded,
    /// All is given back; the wallet got what the card did not take.
    ToWallet,
}

/// GraphQL `Refund`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// For which invoice.
    pub invoice_id: InvoiceId,
    /// The invoice that takes it back.
    pub credit_note_id: InvoiceId,
    /// All of it; what nobody had paid goes nowhere.
    pub amount: Money,
    /// What of it the wallet gets.
    pub to_wallet: Money,
    /// What of it the card gets.
    pub to_card: Money,
    /// How far it is.
    pub status: RefundStatus,
    /// Why the provider did not give the card's part back, in its code.
    pub failure_code: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
}

/// A refund as the store tells it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefundRecord {
    pub(crate) id: RefundId,
    invoice_id: InvoiceId,
    credit_note_id: InvoiceId,
    amount: Decimal,
    to_wallet: Decimal,
    to_card: Decimal,
    currency: Currency,
    /// What the card paid by.
    payment_ref: Option<IntentRef>,
    provider_ref: Option<RefundRef>,
    pub(crate) status: RefundStatus,
    failure_code: Option<String>,
    created_at: Timestamp,
}

impl RefundRecord {
    pub(crate) fn shown(&self) -> Refund {
        let money = |amount| Money::new(amount, self.currency).rounded();
        Refund {
            id: self.id,
            invoice_id: self.invoice_id,
            credit_note_id: self.credit_note_id,
            amount: money(self.amount),
            to_wallet: money(self.to_wallet),
            to_card: money(self.to_card),
            status: self.status,
            failure_code: self.failure_code.clone(),
            created_at: self.created_at,
        }
    }
}

/// What the provider says of the card's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefundReport {
    /// The card gets it.
    Succeeded,
    /// It is on its way.
    Pending,
    /// The card will not get it: the wallet shall.
    Refused,
    /// Only people can find out where the money is.
    Held,
}

impl RefundReport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Pending => "PENDING",
            Self::Refused => "REFUSED",
            Self::Held => "HELD",
        }
    }

    fn of(card_refund: &CardRefund) -> Self {
        match card_refund.status {
            CardRefundStatus::Succeeded => Self::Succeeded,
            CardRefundStatus::Failed if card_refund.failure_code() == DISPUTED => Self::Held,
            CardRefundStatus::Failed | CardRefundStatus::Canceled => Self::Refused,
            CardRefundStatus::Underway => Self::Pending,
        }
    }
}

/// Gives money back for an invoice, once for each of the operator's keys.
pub async fn refund(
    payments: &Payments,
    caller: &Caller,
    RefundInvoice { input }: RefundInvoice,
) -> Result<Refund, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    if holds_card_number(input.reason.as_str()) {
        return Err(Failure::invalid("input.reason", "must not hold a card number"));
    }
    let request = json!({
        "invoiceId": input.invoice_id,
        "amount": input.amount.map(|amount| amount.0.normalize()),
        "to": input.to,
        "reason": input.reason.as_str(),
    });
    let asked = RefundAsked { operator, request, key: input.idempotency_key.hash() };
    let refund = match store::begin_refund(&payments.outbox, asked, caller.at, caller.correlation_id).await? {
        RefundBeginning::Begun { refund } => refund,
        refusal => return Err(refused(&refusal)),
    };
    let claimed = store::claim_refund(payments.outbox.database(), refund.id, caller.at).await?;
    let Some(claimed) = claimed else { return Ok(refund.shown()) };
    match Payments::while_waited_for(payments.drive_refund(claimed, caller.at)).await {
        Ok(refund) => Ok(refund.shown()),
        // It stands, and is looked after.
        Err(Failure::Unavailable(_)) => Ok(refund.shown()),
        Err(failure) => Err(failure),
    }
}

fn refused(refusal: &RefundBeginning) -> Failure {
    match refusal {
        RefundBeginning::NoInvoice | RefundBeginning::Begun { .. } => Failure::NotFound("invoice"),
        RefundBeginning::NothingToRefund => {
            Failure::conflict("NOTHING_TO_REFUND", "nothing of the invoice is left to take back")
        }
        RefundBeginning::RefundTooLarge => {
            Failure::conflict("REFUND_TOO_LARGE", "less than that is left to give back")
        }
        RefundBeginning::TooFine => {
            Failure::invalid("input.amount", "has more decimals than the invoice's currency")
        }
        RefundBeginning::CurrencyMismatch => {
            Failure::conflict("CURRENCY_MISMATCH", "the wallet holds another currency")
        }
        RefundBeginning::AccountDeleted => {
            Failure::conflict("ACCOUNT_DELETED", "the account is deleted, nobody could spend from its wallet")
        }
        RefundBeginning::PaymentPending => {
            Failure::conflict("PAYMENT_PENDING", "a payment of this invoice has begun and is not over yet")
        }
        RefundBeginning::KeyReused => {
            Failure::conflict("IDEMPOTENCY_KEY_REUSED", "this key was used for another refund")
        }
    }
}

impl Payments {
    /// Does what can be done now about a refund that is the caller's to do: two that did so at once could refund twice,
    /// where the provider forgets its keys.
    pub(crate) async fn drive_refund(
        &self,
        refund: RefundRecord,
        now: Timestamp,
    ) -> Result<RefundRecord, Failure> {
        let card_refund = match (&refund.provider_ref, &refund.payment_ref) {
            (Some(card_refund), _) => self.provider.card_refund(card_refund).await?,
            (None, Some(intent)) => match self.made(&refund, intent).await {
                Ok(card_refund) => card_refund,
                Err(Trouble::Refused { code }) => {
                    let is_final = FINAL.contains(&code.as_str());
                    let report = if is_final { RefundReport::Refused } else { RefundReport::Held };
                    return self.settle_refund(&refund, None, report, Some(&code), now).await;
                }
                Err(Trouble::Unknown) => return Err(Trouble::Unknown.into()),
            },
            (None, None) => return Ok(refund),
        };
        self.settle_by(&refund, &card_refund, now).await
    }

    /// Settles by what the provider says now; attempts nothing.
    pub(crate) async fn look_at_refund(&self, refund: &RefundRecord, now: Timestamp) -> Result<(), Failure> {
        if let Some(card_refund) = &refund.provider_ref {
            let card_refund = self.provider.card_refund(card_refund).await?;
            self.settle_by(refund, &card_refund, now).await?;
        }
        Ok(())
    }

    /// What an earlier try made, or made now.
    async fn made(&self, refund: &RefundRecord, intent: &IntentRef) -> Result<CardRefund, Trouble> {
        if let Some(card_refund) = self.provider.card_refund_for(refund.id, intent).await? {
            return Ok(card_refund);
        }
        let Some(units) = smallest_units(Money::new(refund.to_card, refund.currency)) else {
            return Err(Trouble::Refused { code: NO_UNITS.to_owned() });
        };
        self.provider.create_refund(refund.id, intent, units).await
    }

    async fn settle_by(
        &self,
        refund: &RefundRecord,
        card_refund: &CardRefund,
        now: Timestamp,
    ) -> Result<RefundRecord, Failure> {
        let report = RefundReport::of(card_refund);
        let is_failure = matches!(report, RefundReport::Refused | RefundReport::Held);
        let code = is_failure.then(|| card_refund.failure_code());
        self.settle_refund(refund, Some(&card_refund.id), report, code.as_deref(), now).await
    }

    async fn settle_refund(
        &self,
        refund: &RefundRecord,
        provider_ref: Option<&RefundRef>,
        report: RefundReport,
        code: Option<&str>,
        now: Timestamp,
    ) -> Result<RefundRecord, Failure> {
        let settled = store::settle_refund(&self.outbox, refund.id, provider_ref, report, code, now).await?;
        if settled.status == RefundStatus::Held {
            error!(refund_id = %refund.id, code, "the card's part of a refund is for an operator to settle");
        } else if settled.status == RefundStatus::ToWallet && report == RefundReport::Succeeded {
            error!(refund_id = %refund.id, "the card got what the wallet had been given");
        } else if settled.status != refund.status {
            info!(refund_id = %refund.id, status = ?settled.status, code, "refund settled");
        }
        Ok(settled)
    }
}
