//! `DataTransfer`: we know no vendor's extensions.

use ocpp_kit::v1_6::{DataTransferRequest, DataTransferResponse, DataTransferStatus};
use shared::Failure;

use crate::protocol::Message;

pub(super) async fn handle(
    message: &Message<'_>,
    _: DataTransferRequest,
) -> Result<DataTransferResponse, Failure> {
    message.records.seen(message.charger, message.received_at).await?;
    Ok(DataTransferResponse::new(DataTransferStatus::UnknownVendorId))
}
