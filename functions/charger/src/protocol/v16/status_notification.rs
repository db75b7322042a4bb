//! `StatusNotification`: the state of one connector, or of the charger as connector 0.

use ocpp_kit::v1_6::{
    ChargePointErrorCode, ChargePointStatus, StatusNotificationRequest, StatusNotificationResponse,
};
use session::ConnectorStatus;
use shared::Failure;
use tracing::warn;

use crate::StatusReport;
use crate::clock::charger_time;
use crate::protocol::Message;

pub(super) async fn handle(
    message: &Message<'_>,
    request: StatusNotificationRequest,
) -> Result<StatusNotificationResponse, Failure> {
    let Message { records, charger, received_at, correlation_id } = *message;
    let status = match request.status {
        ChargePointStatus::Available => ConnectorStatus::Available,
        ChargePointStatus::Preparing => ConnectorStatus::Preparing,
        ChargePointStatus::Charging => ConnectorStatus::Charging,
        ChargePointStatus::SuspendedEV | ChargePointStatus::SuspendedEVSE => ConnectorStatus::Suspended,
        ChargePointStatus::Finishing => ConnectorStatus::Finishing,
        ChargePointStatus::Reserved => ConnectorStatus::Reserved,
        ChargePointStatus::Faulted => ConnectorStatus::Faulted,
        _ => ConnectorStatus::Unavailable,
    };
    let error_code = match request.error_code {
        ChargePointErrorCode::NoError => None,
        code => Some(code.as_str().to_owned()),
    };
    let at = request.timestamp.map_or(received_at, |timestamp| charger_time(timestamp, received_at));
    let report = StatusReport { connector_number: request.connector_id, status, error_code, at };
    if !records.status(charger, &report, correlation_id, received_at).await? && request.connector_id != 0 {
        warn!(connector = request.connector_id, "the status of a connector that is not set up");
    }
    Ok(StatusNotificationResponse {})
}
