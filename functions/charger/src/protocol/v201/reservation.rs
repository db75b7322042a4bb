//! `ReserveNow` and `CancelReservation`: what is asked.

use ocpp_kit::v2_0_1::{CancelReservationRequest, ReserveNowRequest};
use shared::Failure;

use super::remote::token;
use crate::Reservation;
use crate::clock::ocpp_time;
use crate::protocol::Remote;

pub(super) const RESERVE: &str = "ReserveNow";
pub(super) const RELEASE: &str = "CancelReservation";

pub(in crate::protocol) fn reserve(reservation: &Reservation) -> Result<Remote, Failure> {
    let Reservation { connector_number, ends_at, id_tag, reservation_id, .. } = reservation;
    let request = ReserveNowRequest::new(*reservation_id, ocpp_time(*ends_at), token(id_tag))
        .with_evse_id(*connector_number);
    Remote::of(RESERVE, &request)
}

pub(in crate::protocol) fn release(reservation_id: i32) -> Result<Remote, Failure> {
    Remote::of(RELEASE, &CancelReservationRequest::new(reservation_id))
}
