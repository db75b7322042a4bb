//! OCPP 1.6J: what a charger may call, and what we call.

mod authorize;
mod boot_notification;
mod data_transfer;
mod heartbeat;
mod meter_values;
mod remote;
mod start_transaction;
mod status_notification;
mod stop_transaction;

use ocpp_kit::v1_6::{
    AuthorizationStatus, DiagnosticsStatusNotificationRequest, FirmwareStatusNotificationRequest, IdTagInfo,
    LogStatusNotificationRequest, SecurityEventNotificationRequest, SignedFirmwareStatusNotificationRequest,
};
use session::TagStatus;

use super::{Entry, acknowledge, answering};

pub(super) use remote::{remote_answer, remote_start, remote_stop};

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
    ("StopTransaction", |message, payload| answering(message, payload, stop_transaction::handle)),
];

fn id_tag_info(status: TagStatus) -> IdTagInfo {
    IdTagInfo::new(match status {
        TagStatus::Accepted => AuthorizationStatus::Accepted,
        TagStatus::Invalid => AuthorizationStatus::Invalid,
        TagStatus::ConcurrentTx => AuthorizationStatus::ConcurrentTx,
    })
}
