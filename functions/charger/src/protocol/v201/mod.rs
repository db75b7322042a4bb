//! OCPP 2.0.1: what a charging station may call, and what we call.

mod authorize;
mod boot_notification;
mod data_transfer;
mod heartbeat;
mod remote;
mod status_notification;
mod transaction_event;

use ocpp_kit::v2_0_1::{
    AuthorizationStatus, FirmwareStatusNotificationRequest, IdTokenInfo, LogStatusNotificationRequest,
    MeterValuesRequest, NotifyEventRequest, NotifyMonitoringReportRequest, NotifyReportRequest,
    SecurityEventNotificationRequest,
};
use session::TagStatus;

use super::{Entry, acknowledge, answering};

pub(super) use remote::{remote_answer, remote_start, remote_stop};

/// Every action that is served. `MeterValues` are readings outside transactions here, which bill nobody.
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
    ("SecurityEventNotification", |message, payload| {
        answering(message, payload, acknowledge::<SecurityEventNotificationRequest>)
    }),
    ("StatusNotification", |message, payload| answering(message, payload, status_notification::handle)),
    ("TransactionEvent", |message, payload| answering(message, payload, transaction_event::handle)),
];

fn id_token_info(status: TagStatus) -> IdTokenInfo {
    IdTokenInfo::new(match status {
        TagStatus::Accepted => AuthorizationStatus::Accepted,
        TagStatus::Invalid => AuthorizationStatus::Invalid,
        TagStatus::ConcurrentTx => AuthorizationStatus::ConcurrentTx,
    })
}
