//! `StatusNotification`: the state of an EVSE's connector. What is going on at an occupied one, its transaction tells.

use ocpp_kit::v2_0_1::{ConnectorStatus as Reported, StatusNotificationRequest, StatusNotificationResponse};
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
    let status = match request.connector_status {
        Reported::Available => ConnectorStatus::Available,
        Reported::Occupied => ConnectorStatus::Occupied,
        Reported::Reserved => ConnectorStatus::Reserved,
        Reported::Faulted => ConnectorStatus::Faulted,
        _ => ConnectorStatus::Unavailable,
    };
    let at = charger_time(request.timestamp, received_at);
    let report = StatusReport { connector_number: request.evse_id, status, error_code: None, at };
    if !records.status(charger, &report, correlation_id, received_at).await? && request.evse_id != 0 {
        warn!(evse = request.evse_id, "the status of an EVSE that is not set up");
    }
    Ok(StatusNotificationResponse::new())
}
