//! `StartTransaction`: gets an id from us, the same one however often it is sent.

use ocpp_kit::v1_6::{StartTransactionRequest, StartTransactionResponse};
use session::{Fact, FactKind, TagStatus};
use shared::{Failure, SessionId};

use super::id_tag_info;
use crate::clock::charger_time;
use crate::course::at;
use crate::meter::{Register, whole};
use crate::protocol::Message;

pub(super) async fn handle(
    message: &Message<'_>,
    request: StartTransactionRequest,
) -> Result<StartTransactionResponse, Failure> {
    let Message { records, charger, received_at, correlation_id } = *message;
    let StartTransactionRequest { connector_id, id_tag, meter_start, timestamp, .. } = request;
    let begun = whole(meter_start, true);
    let register = Register::of(begun);
    let fact = Fact {
        kind: FactKind::Start,
        at: charger_time(timestamp, received_at),
        transaction_id: None,
        start_key: Some(format!("{connector_id}|{id_tag}|{timestamp}|{meter_start}")),
        awaited: true,
        seq_no: None,
        connector_number: Some(connector_id),
        id_tag: Some(id_tag),
        remote_start_id: None,
        meter_start_wh: register.start,
        meter_low_wh: register.low,
        meter_high_wh: register.high,
        readings: begun.and_then(|reading| at(timestamp, reading, received_at)).into_iter().collect(),
        reason: None,
        connector_status: None,
        new_session_id: SessionId::new(),
    };
    let reported = records.report(charger, &fact, correlation_id, received_at).await?;
    let id = reported.transaction_id.and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| Failure::fault("a transaction without an id of ours"))?;
    let status = reported.tag_status.unwrap_or(TagStatus::Invalid);
    Ok(StartTransactionResponse::new(id_tag_info(status), id))
}
