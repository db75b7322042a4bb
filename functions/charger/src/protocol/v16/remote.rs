//! `RemoteStartTransaction` and `RemoteStopTransaction`: what is asked, and what the answer means.

use ocpp_kit::decode::{DecodeError, decode_payload};
use ocpp_kit::v1_6::{
    RemoteStartStopStatus, RemoteStartTransactionRequest, RemoteStartTransactionResponse,
    RemoteStopTransactionRequest, RemoteStopTransactionResponse,
};
use serde_json::value::RawValue;
use shared::Failure;
use tracing::warn;

use crate::Commanded;
use crate::protocol::{Remote, RemoteAnswer, options};

const START: &str = "RemoteStartTransaction";
const STOP: &str = "RemoteStopTransaction";

pub(in crate::protocol) fn remote_start(wanted: &Commanded) -> Result<Remote, Failure> {
    let request = RemoteStartTransactionRequest {
        id_tag: wanted.id_tag.clone(),
        connector_id: Some(wanted.connector_number),
        charging_profile: None,
    };
    Remote::of(START, &request)
}

pub(in crate::protocol) fn remote_stop(transaction: &str) -> Result<Remote, Failure> {
    let request =
        RemoteStopTransactionRequest { transaction_id: transaction.parse().map_err(Failure::fault)? };
    Remote::of(STOP, &request)
}

pub(in crate::protocol) fn remote_answer(action: &str, payload: &RawValue) -> RemoteAnswer {
    let status = match action {
        START => decode_payload(payload, &options()).map(|it: RemoteStartTransactionResponse| it.status),
        STOP => decode_payload(payload, &options()).map(|it: RemoteStopTransactionResponse| it.status),
        _ => Err(DecodeError::unsupported_action(action)),
    };
    match status {
        Ok(RemoteStartStopStatus::Accepted) => RemoteAnswer::Accepted,
        Ok(_) => RemoteAnswer::Refused,
        Err(defect) => {
            warn!(action, %defect, "an answer that cannot be read");
            RemoteAnswer::Unreadable
        }
    }
}
