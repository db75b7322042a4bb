//! `RemoteStartTransaction` and `RemoteStopTransaction`: what is asked.

use ocpp_kit::v1_6::{RemoteStartTransactionRequest, RemoteStopTransactionRequest};
use shared::Failure;

use crate::Commanded;
use crate::protocol::Remote;

pub(super) const START: &str = "RemoteStartTransaction";
pub(super) const STOP: &str = "RemoteStopTransaction";

/// With the tag that the connector may be reserved for.
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
