//! `RequestStartTransaction` and `RequestStopTransaction`: what is asked, and what the answer means.

use ocpp_kit::decode::{DecodeError, decode_payload};
use ocpp_kit::v2_0_1::{
    IdToken, IdTokenEnum, RequestStartStopStatus, RequestStartTransactionRequest,
    RequestStartTransactionResponse, RequestStopTransactionRequest, RequestStopTransactionResponse,
};
use serde_json::value::RawValue;
use shared::Failure;
use tracing::warn;

use crate::Commanded;
use crate::protocol::{Remote, RemoteAnswer, options};

const START: &str = "RequestStartTransaction";
const STOP: &str = "RequestStopTransaction";

pub(in crate::protocol) fn remote_start(wanted: &Commanded) -> Result<Remote, Failure> {
    let token = IdToken::new(&wanted.id_tag, IdTokenEnum::Central);
    let request = RequestStartTransactionRequest::new(token, wanted.remote_start_id)
        .with_evse_id(wanted.connector_number);
    Remote::of(START, &request)
}

pub(in crate::protocol) fn remote_stop(transaction: &str) -> Result<Remote, Failure> {
    let request = RequestStopTransactionRequest::new(transaction);
    Remote::of(STOP, &request)
}

pub(in crate::protocol) fn remote_answer(action: &str, payload: &RawValue) -> RemoteAnswer {
    let status = match action {
        START => decode_payload(payload, &options()).map(|it: RequestStartTransactionResponse| it.status),
        STOP => decode_payload(payload, &options()).map(|it: RequestStopTransactionResponse| it.status),
        _ => Err(DecodeError::unsupported_action(action)),
    };
    match status {
        Ok(RequestStartStopStatus::Accepted) => RemoteAnswer::Accepted,
        Ok(_) => RemoteAnswer::Refused,
        Err(defect) => {
            warn!(action, %defect, "an answer that cannot be read");
            RemoteAnswer::Unreadable
        }
    }
}
