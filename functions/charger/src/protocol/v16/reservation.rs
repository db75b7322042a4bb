//! `ReserveNow` and `CancelReservation`: what is asked.

use ocpp_kit::v1_6::{CancelReservationRequest, ReserveNowRequest};
use shared::Failure;

use crate::Reservation;
use crate::clock::ocpp_time;
use crate::protocol::Remote;

pub(super) const RESERVE: &str = "ReserveNow";
pub(super) const RELEASE: &str = "CancelReservation";

pub(in crate::protocol) fn reserve(reservation: &Reservation) -> Result<Remote, Failure> {
    let Reservation { connector_number, ends_at, id_tag, reservation_id, .. } = reservation;
    Remote::of(
        RESERVE,
        &ReserveNowRequest::new(*connector_number, ocpp_time(*ends_at), id_tag, *reservation_id),
    )
}

pub(in crate::protocol) fn release(reservation_id: i32) -> Result<Remote, Failure> {
    Remote::of(RELEASE, &CancelReservationRequest::new(reservation_id))
}
