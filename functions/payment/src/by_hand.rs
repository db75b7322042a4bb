//! Ending a refund that the provider left open, by an operator's hand.

use serde::{Deserialize, Serialize};
use shared::{Caller, Failure, Outbox, Reason, RefundId, Role, holds_card_number};

use crate::refund::Refund;
use crate::store::{self, ByHand, SettledByHand};

/// Arguments of `Mutation.settleRefund`.
#[derive(Debug, Deserialize)]
pub struct SettleRefund {
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    refund_id: RefundId,
    settlement: RefundSettlement,
    reason: Reason,
}

/// What becomes of the card's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundSettlement {
    /// The customer has it: the bank took it for them, or it was given back by other means.
    GivenBack,
    /// The wallet gets it.
    ToWallet,
}

impl RefundSettlement {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GivenBack => "GIVEN_BACK",
            Self::ToWallet => "TO_WALLET",
        }
    }
}

/// Ends a refund that is held; ending it so twice changes nothing. What the provider says of it later is of no account.
pub async fn settle_refund(
    outbox: &Outbox,
    caller: &Caller,
    SettleRefund { input: Input { refund_id, settlement, reason } }: SettleRefund,
) -> Result<Refund, Failure> {
    let operator = caller.with_role(Role::Operator)?.id;
    if holds_card_number(reason.as_str()) {
        return Err(Failure::invalid("input.reason", "must not hold a card number"));
    }
    let by_hand = ByHand { refund_id, operator, settlement, reason };
    match store::settle_by_hand(outbox, &by_hand, caller.at, caller.correlation_id).await? {
        SettledByHand::Settled { refund } => Ok(refund.shown()),
        SettledByHand::NoRefund => Err(Failure::NotFound("refund")),
        SettledByHand::NotHeld => Err(Failure::conflict(
            "REFUND_NOT_HELD",
            "the provider is asked about the refund, or it is done otherwise",
        )),
        SettledByHand::CurrencyMismatch => {
            Err(Failure::conflict("CURRENCY_MISMATCH", "the wallet holds another currency"))
        }
        SettledByHand::AccountDeleted => Err(Failure::conflict(
            "ACCOUNT_DELETED",
            "the account is deleted, nobody could spend from its wallet",
        )),
    }
}
