//! `RequestStartTransaction` and `RequestStopTransaction`: what is asked.

use ocpp_kit::v2_0_1::{IdToken, IdTokenEnum, RequestStartTransactionRequest, RequestStopTransactionRequest};
use shared::Failure;

use crate::Commanded;
use crate::protocol::Remote;

pub(super) const START: &str = "RequestStartTransaction";
pub(super) const STOP: &str = "RequestStopTransaction";

/// A driver as a charger is told of them, when it is to begin and when it is to reserve: it compares the two.
pub(super) fn token(id_tag: &str) -> IdToken {
    IdToken::new(id_tag, IdTokenEnum::Central)
}

pub(in crate::protocol) fn remote_start(wanted: &Commanded) -> Result<Remote, Failure> {
    let request = RequestStartTransactionRequest::new(token(&wanted.id_tag), wanted.remote_start_id)
        .with_evse_id(wanted.connector_number);
    Remote::of(START, &request)
}

pub(in crate::protocol) fn remote_stop(transaction: &str) -> Result<Remote, Failure> {
    let request = RequestStopTransactionRequest::new(transaction);
    Remote::of(STOP, &request)
}
