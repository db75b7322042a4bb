//! Acting on what the provider's webhooks hint at: the provider is asked, and the books follow its answer. So a hint may
//! come twice, late, out of order, or about nothing of ours.

use shared::{Failure, Timestamp};
use tracing::info;

use crate::webhook::Hint;
use crate::{Payments, store};

/// Brings what `hint` is about to what the provider says of it now.
pub async fn settle(payments: &Payments, hint: &Hint, now: Timestamp) -> Result<(), Failure> {
    let database = payments.outbox.database();
    let told = store::told(database, hint).await?;
    if told.is_known {
        info!("acted on already");
        return Ok(());
    }
    match (told.payment, told.refund) {
        (Some(payment), _) => drop(payments.drive(payment, now).await?),
        (_, Some(refund)) => payments.look_at_refund(&refund, now).await?,
        // Of another system on the same account, or of a try that was killed before it could confirm anything.
        (None, None) => info!("about nothing of ours"),
    }
    Ok(store::note(database, &hint.event_id, &hint.event_type, now).await?)
}
