//! `BootNotification`: what a station is, and whether it may take part.

use ocpp_kit::v2_0_1::{BootNotificationRequest, BootNotificationResponse, RegistrationStatus};
use shared::Failure;

use crate::clock::ocpp_time;
use crate::protocol::{BOOT_INTERVAL, HEARTBEAT_INTERVAL, Message};
use crate::{Boot, Registration};

pub(super) async fn handle(
    message: &Message<'_>,
    request: BootNotificationRequest,
) -> Result<BootNotificationResponse, Failure> {
    let station = request.charging_station;
    let boot = Boot {
        vendor: station.vendor_name,
        model: station.model,
        serial_number: station.serial_number,
        firmware: station.firmware_version,
    };
    let (status, interval) = match message.records.booted(message.charger, &boot, message.received_at).await?
    {
        Registration::Accepted => (RegistrationStatus::Accepted, HEARTBEAT_INTERVAL),
        Registration::Pending => (RegistrationStatus::Pending, BOOT_INTERVAL),
        Registration::Rejected => (RegistrationStatus::Rejected, BOOT_INTERVAL),
    };
    Ok(BootNotificationResponse::new(ocpp_time(message.received_at), interval, status))
}
