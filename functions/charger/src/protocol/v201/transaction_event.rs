//! `TransactionEvent`: a transaction's beginning, course and end, numbered by the station, in any order.

use ocpp_kit::v2_0_1::{
    ChargingState, TransactionEventEnum, TransactionEventRequest, TransactionEventResponse,
};
use session::{ConnectorStatus, Fact, FactKind};
use shared::{Failure, SessionId};

use super::id_token_info;
use crate::clock::charger_time;
use crate::course::{course, course_v201};
use crate::meter::{Register, readings_v201};
use crate::protocol::Message;

pub(super) async fn handle(
    message: &Message<'_>,
    request: TransactionEventRequest,
) -> Result<TransactionEventResponse, Failure> {
    let Message { records, charger, received_at, correlation_id } = *message;
    let kind = match request.event_type {
        TransactionEventEnum::Started => FactKind::Start,
        TransactionEventEnum::Ended => FactKind::Stop,
        _ => FactKind::Update,
    };
    let transaction = request.transaction_info;
    let sampled = request.meter_value.unwrap_or_default();
    let register = Register::of(readings_v201(&sampled));
    // A first reading is the one to count from, also where the station does not call it so.
    let start = register.start.or(register.low.filter(|_| kind == FactKind::Start));
    let fact = Fact {
        kind,
        at: charger_time(request.timestamp, received_at),
        transaction_id: Some(transaction.transaction_id),
        start_key: None,
        awaited: true,
        seq_no: Some(request.seq_no),
        connector_number: request.evse.map(|evse| evse.id),
        id_tag: request.id_token.map(|token| token.id_token),
        remote_start_id: transaction.remote_start_id,
        meter_start_wh: start,
        meter_low_wh: register.low,
        meter_high_wh: register.high,
        readings: course(course_v201(&sampled, received_at)),
        reason: transaction.stopped_reason.map(|reason| reason.as_str().to_owned()),
        connector_status: transaction.charging_state.and_then(|state| connector_status(kind, &state)),
        new_session_id: SessionId::new(),
    };
    let reported = records.report(charger, &fact, correlation_id, received_at).await?;
    let mut response = TransactionEventResponse::new();
    response.id_token_info = reported.tag_status.map(id_token_info);
    Ok(response)
}

fn connector_status(kind: FactKind, state: &ChargingState) -> Option<ConnectorStatus> {
    match (kind, state) {
        (FactKind::Stop, ChargingState::Idle) => None,
        (FactKind::Stop, _) => Some(ConnectorStatus::Finishing),
        (_, ChargingState::Charging) => Some(ConnectorStatus::Charging),
        (_, ChargingState::SuspendedEV | ChargingState::SuspendedEVSE) => Some(ConnectorStatus::Suspended),
        (_, ChargingState::EVConnected) => Some(ConnectorStatus::Preparing),
        _ => None,
    }
}
