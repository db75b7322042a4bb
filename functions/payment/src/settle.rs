//! Acting on what the provider's webhooks hint at: the provider is asked, and the books follow its answer. So a hint may
//! come twice, late, out of order, or about nothing of ours.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use shared::{Failure, Timestamp, read_fields};
use tracing::{Instrument, error, info, info_span, warn};

use crate::webhook::Hint;
use crate::{Payments, store};

/// Settles each message of a batch; each fails alone.
pub async fn settle_batch(payments: &Payments, event: SqsEvent, now: Timestamp) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let Err(failure) = settle_message(payments, &message, now).await else { continue };
        let message_id = message.message_id.unwrap_or_default();
        if failure.retryable() {
            warn!(message_id, cause = failure.causes(), "will be tried again");
        } else {
            error!(message_id, cause = failure.causes(), "hopeless: for the dead letters");
        }
        let mut item = BatchItemFailure::default();
        item.item_identifier = message_id;
        response.batch_item_failures.push(item);
    }
    response
}

async fn settle_message(payments: &Payments, message: &SqsMessage, now: Timestamp) -> Result<(), Failure> {
    let body = message.body.as_deref().unwrap_or_default();
    let body = serde_json::from_str(body).map_err(|_| Failure::invalid("body", "is no JSON"))?;
    let hint: Hint = read_fields(body)?;
    let span = info_span!(
        "settle",
        event_id = %hint.event_id,
        event_type = hint.event_type,
        correlation_id = %hint.correlation_id,
    );
    settle(payments, &hint, now).instrument(span).await
}

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
