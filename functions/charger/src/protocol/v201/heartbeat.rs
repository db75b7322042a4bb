//! `Heartbeat`: a sign of life, answered with the time.

use ocpp_kit::v2_0_1::{HeartbeatRequest, HeartbeatResponse};
use shared::Failure;

use crate::clock::ocpp_time;
use crate::protocol::Message;

pub(super) async fn handle(message: &Message<'_>, _: HeartbeatRequest) -> Result<HeartbeatResponse, Failure> {
    message.records.seen(message.charger, message.received_at).await?;
    Ok(HeartbeatResponse::new(ocpp_time(message.received_at)))
}
