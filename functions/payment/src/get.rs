//! One payment, as it is now.

use serde::Deserialize;
use shared::{Caller, Failure, PaymentId, Role};

use crate::payment::Payment;
use crate::{Payments, store};

/// Arguments of `Query.payment`.
#[derive(Debug, Deserialize)]
pub struct GetPayment {
    id: PaymentId,
}

/// A payment of the caller's, or anybody's for an operator. While it is open the provider is asked; if it does not answer,
/// the payment is told as it was known last.
pub async fn get(
    payments: &Payments,
    caller: &Caller,
    GetPayment { id }: GetPayment,
) -> Result<Payment, Failure> {
    let user = caller.user()?;
    let owner = (!user.roles.contains(&Role::Operator)).then_some(user.id);
    let payment = store::payment(payments.outbox.database(), id, owner).await?;
    let payment = payment.ok_or(Failure::NotFound("payment"))?;
    let is_own = payment.user_id == user.id;
    match Payments::while_waited_for(payments.look(payment.clone(), caller.at)).await {
        // With it one can go on with the payment: that is for its owner alone.
        Ok(driven) => Ok(driven.payment.shown(driven.client_secret.filter(|_| is_own))),
        Err(Failure::Unavailable(_)) => Ok(payment.shown(None)),
        Err(failure) => Err(failure),
    }
}
