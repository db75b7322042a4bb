//! OCPP 2.0.1: what a charging station may call, and what we call.

mod authorize;
mod boot_notification;
mod data_transfer;
mod heartbeat;
mod remote;
mod reservation;
mod status_notification;
mod transaction_event;

use ocpp_kit::decode::{DecodeError, decode_payload};
use ocpp_kit::v2_0_1::{
    AuthorizationStatus, CancelReservationResponse, FirmwareStatusNotificationRequest, IdTokenInfo,
    LogStatusNotificationRequest, MeterValuesRequest, NotifyEventRequest, NotifyMonitoringReportRequest,
    NotifyReportRequest, RequestStartTransactionResponse, RequestStopTransactionResponse,
    ReservationStatusUpdateRequest, ReserveNowResponse, SecurityEventNotificationRequest,
};
use serde_json::value::RawValue;
use session::TagStatus;

use super::{Entry, acknowledge, answering, options};

pub(super) use remote::{remote_start, remote_stop};
pub(super) use reservation::{release, reserve};

/// Every action that is served. `MeterValues` are readings outside transactions here, which bill nobody. That a station
/// gave up a reservation takes nothing from the booking.
pub(super) const ACTIONS: &[Entry] = &[
    ("Authorize", |message, payload| answering(message, payload, authorize::handle)),
    ("BootNotification", |message, payload| answering(message, payload, boot_notification::handle)),
    ("DataTransfer", |message, payload| answering(message, payload, data_transfer::handle)),
    ("FirmwareStatusNotification", |message, payload| {
        answering(message, payload, acknowledge::<FirmwareStatusNotificationRequest>)
    }),
    ("Heartbeat", |message, payload| answering(message, payload, heartbeat::handle)),
    ("LogStatusNotification", |message, payload| {
        answering(message, payload, acknowledge::<LogStatusNotificationRequest>)
    }),
    ("MeterValues", |message, payload| answering(message, payload, acknowledge::<MeterValuesRequest>)),
    ("NotifyEvent", |message, payload| answering(message, payload, acknowledge::<NotifyEventRequest>)),
    ("NotifyMonitoringReport", |message, payload| {
        answering(message, payload, acknowledge::<NotifyMonitoringReportRequest>)
    }),
    ("NotifyReport", |message, payload| answering(message, payload, acknowledge::<NotifyReportRequest>)),
    ("ReservationStatusUpdate", |message, payload| {
        answering(message, payload, acknowledge::<ReservationStatusUpdateRequest>)
    }),
    ("SecurityEventNotification", |message, payload| {
        answering(message, payload, acknowledge::<SecurityEventNotificationRequest>)
    }),
    ("StatusNotification", |message, payload| answering(message, payload, status_notification::handle)),
    ("TransactionEvent", |message, payload| answering(message, payload, transaction_event::handle)),
];

/// The status in the answer to a call of ours.
pub(super) fn status(action: &str, payload: &RawValue) -> Result<String, DecodeError> {
    let options = options();
    match action {
        remote::START => {
            decode_payload(payload, &options).map(|it: RequestStartTransactionResponse| it.status.to_string())
        }
        remote::STOP => {
            decode_payload(payload, &options).map(|it: RequestStopTransactionResponse| it.status.to_string())
        }
        reservation::RESERVE => {
            decode_payload(payload, &options).map(|it: ReserveNowResponse| it.status.to_string())
        }
        reservation::RELEASE => {
            decode_payload(payload, &options).map(|it: CancelReservationResponse| it.status.to_string())
        }
        _ => Err(DecodeError::unsupported_action(action)),
    }
}

fn id_token_info(status: TagStatus) -> IdTokenInfo {
    IdTokenInfo::new(match status {
        TagStatus::Accepted => AuthorizationStatus::Accepted,
        TagStatus::Invalid => AuthorizationStatus::Invalid,
        TagStatus::ConcurrentTx => AuthorizationStatus::ConcurrentTx,
    })
}
