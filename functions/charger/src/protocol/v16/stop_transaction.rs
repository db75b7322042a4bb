//! `StopTransaction`: always taken in, since a charger sends a refused one for ever; one that is not ours bills nobody.

use ocpp_kit::v1_6::{StopTransactionRequest, StopTransactionResponse};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use session::{Fact, FactKind};
use shared::{Failure, SessionId};

use super::id_tag_info;
use crate::clock::charger_time;
use crate::course::{at, course, course_v16};
use crate::meter::{Register, readings_v16, whole};
use crate::protocol::{Answer, Message, answering};

pub(super) fn answer<'a>(message: &'a Message<'a>, payload: &'a RawValue) -> Answer<'a> {
    Box::pin(async move {
        let sampled = without_empty(payload);
        answering(message, sampled.as_deref().unwrap_or(payload), handle).await
    })
}

/// The payload without the meter values that have no samples, if it has such. The schema of this action allows them,
/// though that of `MeterValues` does not.
fn without_empty(payload: &RawValue) -> Option<Box<RawValue>> {
    let mut request: Value = serde_json::from_str(payload.get()).ok()?;
    let sampled = request.get_mut("transactionData")?.as_array_mut()?;
    let all = sampled.len();
    sampled.retain(|value| {
        let is_empty = value["sampledValue"].as_array().is_some_and(Vec::is_empty);
        !(is_empty
            && value["timestamp"].is_string()
            && value.as_object().is_some_and(|value| value.len() == 2))
    });
    (sampled.len() < all).then(|| to_raw_value(&request).ok()).flatten()
}

async fn handle(
    message: &Message<'_>,
    request: StopTransactionRequest,
) -> Result<StopTransactionResponse, Failure> {
    let Message { records, charger, received_at, correlation_id } = *message;
    let sampled = request.transaction_data.unwrap_or_default();
    let ended = whole(request.meter_stop, false);
    let register = Register::of(ended.into_iter().chain(readings_v16(&sampled)));
    let ended = ended.and_then(|reading| at(request.timestamp, reading, received_at));
    let fact = Fact {
        kind: FactKind::Stop,
        at: charger_time(request.timestamp, received_at),
        transaction_id: Some(request.transaction_id.to_string()),
        start_key: None,
        awaited: true,
        seq_no: None,
        connector_number: None,
        id_tag: request.id_tag,
        remote_start_id: None,
        meter_start_wh: register.start,
        meter_low_wh: register.low,
        meter_high_wh: register.high,
        readings: course(course_v16(&sampled, received_at).chain(ended)),
        reason: request.reason.map(|reason| reason.as_str().to_owned()),
        connector_status: None,
        new_session_id: SessionId::new(),
    };
    let reported = records.report(charger, &fact, correlation_id, received_at).await?;
    Ok(StopTransactionResponse { id_tag_info: reported.tag_status.map(id_tag_info) })
}
