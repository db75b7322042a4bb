//! `MeterValues`: readings, of a transaction when it names one.

use ocpp_kit::v1_6::{MeterValuesRequest, MeterValuesResponse};
use session::{Fact, FactKind};
use shared::{Failure, SessionId};

use crate::clock::charger_time;
use crate::course::{course, course_v16};
use crate::meter::{Register, readings_v16};
use crate::protocol::Message;

pub(super) async fn handle(
    message: &Message<'_>,
    request: MeterValuesRequest,
) -> Result<MeterValuesResponse, Failure> {
    let Message { records, charger, received_at, correlation_id } = *message;
    // Readings outside a transaction are the meter's own: nobody is billed by them.
    let Some(transaction) = request.transaction_id else {
        records.seen(charger, received_at).await?;
        return Ok(MeterValuesResponse {});
    };
    let register = Register::of(readings_v16(&request.meter_value));
    let latest = request.meter_value.iter().map(|value| charger_time(value.timestamp, received_at)).max();
    let fact = Fact {
        kind: FactKind::Update,
        at: latest.unwrap_or(received_at),
        transaction_id: Some(transaction.to_string()),
        start_key: None,
        awaited: false,
        seq_no: None,
        connector_number: Some(request.connector_id),
        id_tag: None,
        remote_start_id: None,
        meter_start_wh: register.start,
        meter_low_wh: register.low,
        meter_high_wh: register.high,
        readings: course(course_v16(&request.meter_value, received_at)),
        reason: None,
        connector_status: None,
        new_session_id: SessionId::new(),
    };
    records.report(charger, &fact, correlation_id, received_at).await?;
    Ok(MeterValuesResponse {})
}
