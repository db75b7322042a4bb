//! Payments by card through a provider that speaks Stripe's API, top-ups and refunds. Owns the tables `payments` and
//! `refunds`; invoices and the ledger are billing's, bookings those of their crate: moved through their SQL functions.
//!
//! Nobody is charged twice, whatever is killed or lost: a payment confirms one intent only, the one its row names
//! before it is confirmed, and it ends only when the provider says that this intent succeeded or can never succeed.

mod account;
mod amount;
mod by_hand;
mod drive;
mod get;
mod key;
mod limits;
mod pay;
mod payment;
mod provider;
mod reconcile;
mod refund;
mod settle;
mod signature;
mod store;
mod tokens;
mod webhook;

use std::time::Duration;

use aws_config::SdkConfig;
use shared::{Failure, Outbox};
use tokio::time::timeout;

pub use account::{Account, AccountSecret};
pub use by_hand::{RefundSettlement, SettleRefund, settle_refund};
pub use get::{GetPayment, get};
pub use limits::limits as card_limits;
pub use pay::{PayInvoice, TopUpWallet, pay_invoice, top_up};
pub use payment::{Begun, Payment, PaymentPurpose, PaymentStatus};
pub use provider::{PATIENCE, Provider};
pub use reconcile::{ReconcileRequest, Reconciled, reconcile};
pub use refund::{Refund, RefundInvoice, RefundStatus, refund};
pub use settle::settle;
pub use signature::{Unverified, verify};
pub use tokens::{EventRef, IntentRef, PaymentMethod, RefundRef};
pub use webhook::{About, Hint, Rejected, Webhook};

/// How long the provider is spoken with while somebody waits for an answer. Less than such a function lives.
const LONGEST_TALK: Duration = Duration::from_secs(20);

/// What every payment needs: our books, and the provider.
pub struct Payments {
    outbox: Outbox,
    provider: Provider,
}

impl Payments {
    /// The books and the provider.
    pub fn new(outbox: Outbox, provider: Provider) -> Self {
        Self { outbox, provider }
    }

    /// From `PAYMENT_SECRET_ARN` and the settings of [`Outbox::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, Failure> {
        let outbox = Outbox::from_env(config).map_err(Failure::fault)?;
        let secret = AccountSecret::from_env(config).map_err(Failure::fault)?;
        Ok(Self::new(outbox, Provider::new(secret, PATIENCE)?))
    }

    /// What comes of `talk`, as long as somebody waits for it. It may be left at any point, like by a process that is
    /// killed there; then the provider counts as unavailable.
    async fn while_waited_for<T>(talk: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let unavailable = Failure::Unavailable("the payment provider");
        timeout(LONGEST_TALK, talk).await.unwrap_or(Err(unavailable))
    }
}
