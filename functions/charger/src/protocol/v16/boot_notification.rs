//! `BootNotification`: what a charger is, and whether it may take part.

use ocpp_kit::v1_6::{BootNotificationRequest, BootNotificationResponse, RegistrationStatus};
use shared::Failure;

use crate::clock::ocpp_time;
use crate::protocol::{BOOT_INTERVAL, HEARTBEAT_INTERVAL, Message};
use crate::{Boot, Registration};

pub(super) async fn handle(
    message: &Message<'_>,
    request: BootNotificationRequest,
) -> Result<BootNotificationResponse, Failure> {
    let boot = Boot {
        vendor: request.charge_point_vendor,
        model: request.charge_point_model,
        serial_number: request.charge_point_serial_number.or(request.charge_box_serial_number),
        firmware: request.firmware_version,
    };
    let (status, interval) = match message.records.booted(message.charger, &boot, message.received_at).await?
    {
        Registration::Accepted => (RegistrationStatus::Accepted, HEARTBEAT_INTERVAL),
        Registration::Pending => (RegistrationStatus::Pending, BOOT_INTERVAL),
        Registration::Rejected => (RegistrationStatus::Rejected, BOOT_INTERVAL),
    };
    Ok(BootNotificationResponse { status, current_time: ocpp_time(message.received_at), interval })
}
