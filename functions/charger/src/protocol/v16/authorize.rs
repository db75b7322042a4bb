//! `Authorize`: whether a tag is a driver's.

use ocpp_kit::v1_6::{AuthorizeRequest, AuthorizeResponse};
use session::TagStatus;
use shared::Failure;

use super::id_tag_info;
use crate::protocol::Message;

pub(super) async fn handle(
    message: &Message<'_>,
    request: AuthorizeRequest,
) -> Result<AuthorizeResponse, Failure> {
    let Message { records, charger, received_at, .. } = *message;
    let is_known = records.tag_is_known(charger, &request.id_tag, received_at).await?;
    Ok(AuthorizeResponse::new(id_tag_info(if is_known { TagStatus::Accepted } else { TagStatus::Invalid })))
}
