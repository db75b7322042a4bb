//! OCPP 1.6J: what a charger may call, and what we call.

mod authorize;
mod boot_notification;
mod data_transfer;
mod heartbeat;
mod meter_values;
mod remote;
mod reservation;
mod start_transaction;
mod status_notification;
mod stop_transaction;

use ocpp_kit::decode::{DecodeError, decode_payload};
use ocpp_kit::v1_6::{
    AuthorizationStatus, CancelReservationResponse, DiagnosticsStatusNotificationRequest,
    FirmwareStatusNotificationRequest, IdTagInfo, LogStatusNotificationRequest,
    RemoteStartTransactionResponse, RemoteStopTransactionResponse, ReserveNowResponse,
    SecurityEventNotificationRequest, SignedFirmwareStatusNotificationRequest,
};
use serde_json::value::RawValue;
use session::TagStatus;

use super::{Entry, acknowledge, answering, options};

pub(super) use remote::{remote_start, remote_stop};
pub(super) use reservation::{release, reserve};

/// Every action that is served.
pub(super) const ACTIONS: &[Entry] = &[
    ("Authorize", |message, payload| answering(message, payload, authorize::handle)),
    ("BootNotification", |message, payload| answering(message, payload, boot_notification::handle)),
    ("DataTransfer", |message, payload| answering(message, payload, data_transfer::handle)),
    ("DiagnosticsStatusNotification", |message, payload| {
        answering(message, payload, acknowledge::<DiagnosticsStatusNotificationRequest>)
    }),
    ("FirmwareStatusNotification", |message, payload| {
        answering(message, payload, acknowledge::<FirmwareStatusNotificationRequest>)
    }),
    ("Heartbeat", |message, payload| answering(message, payload, heartbeat::handle)),
    ("LogStatusNotification", |message, payload| {
        answering(message, payload, acknowledge::<LogStatusNotificationRequest>)
    }),
    ("MeterValues", |message, payload| answering(message, payload, meter_values::handle)),
    ("SecurityEventNotification", |message, payload| {
        answering(message, payload, acknowledge::<SecurityEventNotificationRequest>)
    }),
    ("SignedFirmwareStatusNotification", |message, payload| {
        answering(message, payload, acknowledge::<SignedFirmwareStatusNotificationRequest>)
    }),
    ("StartTransaction", |message, payload| answering(message, payload, start_transaction::handle)),
    ("StatusNotification", |message, payload| answering(message, payload, status_notification::handle)),
    ("StopTransaction", stop_transaction::answer),
];

/// The status in the answer to a call of ours.
pub(super) fn status(action: &str, payload: &RawValue) -> Result<String, DecodeError> {
    let options = options();
    match action {
        remote::START => {
            decode_payload(payload, &options).map(|it: RemoteStartTransactionResponse| it.status.to_string())
        }
        remote::STOP => {
            decode_payload(payload, &options).map(|it: RemoteStopTransactionResponse| it.status.to_string())
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

fn id_tag_info(status: TagStatus) -> IdTagInfo {
    IdTagInfo::new(match status {
        TagStatus::Accepted => AuthorizationStatus::Accepted,
        TagStatus::Invalid => AuthorizationStatus::Invalid,
        TagStatus::ConcurrentTx => AuthorizationStatus::ConcurrentTx,
    })
}
