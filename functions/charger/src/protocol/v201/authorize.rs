//! `Authorize`: whether a token is a driver's.

use ocpp_kit::v2_0_1::{AuthorizeRequest, AuthorizeResponse};
use session::TagStatus;
use shared::Failure;

use super::id_token_info;
use crate::protocol::Message;

pub(super) async fn handle(
    message: &Message<'_>,
    request: AuthorizeRequest,
) -> Result<AuthorizeResponse, Failure> {
    let Message { records, charger, received_at, .. } = *message;
    let is_known = records.tag_is_known(charger, &request.id_token.id_token, received_at).await?;
    Ok(AuthorizeResponse::new(id_token_info(if is_known { TagStatus::Accepted } else { TagStatus::Invalid })))
}
