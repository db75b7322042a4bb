//! Leaving: what is personal about an account is erased, its books stay. Told as `USER_DELETED`.

use serde::Deserialize;
use shared::{Cache, Caller, Failure, Outbox};

use crate::credentials::Password;
use crate::me::GONE;
use crate::proof::{prove, wrong};
use crate::store::{self, Deletion, Obstacle};

const PASSWORD: &str = "input.password";

/// Arguments of `Mutation.deleteAccount`.
#[derive(Deserialize)]
pub struct DeleteAccount {
    input: Input,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    password: Password,
    forfeit_balance: Option<bool>,
}

/// Erases the caller's account, once nothing of it is open.
pub async fn delete_account(
    outbox: &Outbox,
    cache: &Cache,
    caller: &Caller,
    DeleteAccount { input: Input { password, forfeit_balance } }: DeleteAccount,
) -> Result<bool, Failure> {
    let owner = caller.user()?.id;
    let found = store::account_to_prove(outbox.database(), owner).await?.ok_or(GONE)?;
    prove(cache, caller, &found, &password, PASSWORD).await?;
    let deletion = Deletion {
        owner,
        verified_hash: &found.password_hash,
        forfeit: forfeit_balance.unwrap_or_default(),
        now: caller.at,
        correlation_id: caller.correlation_id,
    };
    match store::delete_account(outbox, deletion).await? {
        None => Ok(true),
        Some(obstacle) => Err(refusal(obstacle)),
    }
}

fn refusal(obstacle: Obstacle) -> Failure {
    match obstacle {
        Obstacle::Changed => wrong(PASSWORD),
        Obstacle::SessionOpen => Failure::conflict("SESSION_OPEN", "a charging session has not ended"),
        Obstacle::BookingOpen => {
            Failure::conflict("BOOKING_OPEN", "a booking is not over: cancel it, or wait for its end")
        }
        Obstacle::InvoicesUnpaid => {
            Failure::conflict("INVOICES_UNPAID", "an invoice is unpaid, or about to be written")
        }
        Obstacle::PaymentPending => Failure::conflict("PAYMENT_PENDING", "a payment is under way"),
        Obstacle::WalletNotEmpty => {
            Failure::conflict("WALLET_NOT_EMPTY", "the wallet holds money: give it up, or spend it first")
        }
    }
}
