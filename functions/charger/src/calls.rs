//! Calls to a charger: one outstanding at a time, a queue behind it, a deadline on each.

use async_trait::async_trait;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use shared::{BookingId, Failure, SessionId, Timestamp};

use crate::ChargePointId;

/// How long a charger may take to answer before the next call goes out.
pub const TIMEOUT: TimeDelta = TimeDelta::seconds(30);

/// What a call is for, and so what its answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// To begin this session.
    Start(SessionId),
    /// To stop it.
    Stop(SessionId),
    /// To stop a transaction that nobody pays for.
    Refuse,
    /// To keep a connector for the driver of this booking.
    Reserve(BookingId),
    /// To keep it for them no longer.
    Release(BookingId),
}

impl Purpose {
    /// How long a call may wait before it is no longer what anybody wants.
    pub(crate) fn patience(self) -> TimeDelta {
        match self {
            Self::Start(_) => TimeDelta::minutes(2),
            // The driver may have come, charged and gone meanwhile.
            Self::Reserve(_) => TimeDelta::minutes(10),
            Self::Stop(_) | Self::Refuse | Self::Release(_) => TimeDelta::MAX,
        }
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// OCPP's message id: at most 36 characters.
    pub message_id: String,
    /// OCPP's action.
    pub action: String,
    /// JSON text of the payload.
    pub payload: String,
    /// What it is for.
    pub purpose: Purpose,
    /// When it was asked for; calls go out in this order.
    pub asked_at: Timestamp,
}

/// A call that was sent and not answered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// The call.
    pub call: Call,
    /// When it stops holding up the others.
    pub deadline: Timestamp,
}

/// A call whose deadline has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Who did not answer it.
    pub charge_point_id: ChargePointId,
    /// Which it is.
    pub message_id: String,
    /// When it was due.
    pub deadline: Timestamp,
}

/// What became of a call that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits for its turn.
    New,
    /// It was asked for before, under the same message id.
    Repeated,
}

/// The calls of all chargers.
#[async_trait(?Send)]
pub trait Calls {
    /// Puts a call at the end of a charger's queue, once a message id.
    async fn enqueue(&self, charger: &ChargePointId, call: &Call, at: Timestamp)
    -> Result<Enqueued, Failure>;

    /// Makes the queue's first call the outstanding one, if there is one and the place is free or its holder overdue.
    async fn next(&self, charger: &ChargePointId, at: Timestamp) -> Result<Option<Call>, Failure>;

    /// Puts a call that could not be sent back to where it was in the queue.
    async fn put_back(&self, charger: &ChargePointId, call: &Call) -> Result<(), Failure>;

    /// The call that waits for its answer, overdue or not.
    async fn outstanding(&self, charger: &ChargePointId) -> Result<Option<Outstanding>, Failure>;

    /// Frees the place, if this call still holds it.
    async fn settle(&self, charger: &ChargePointId, message_id: &str) -> Result<(), Failure>;

    /// Up to a hundred calls that are overdue.
    async fn overdue(&self, at: Timestamp) -> Result<Vec<Overdue>, Failure>;

    /// Frees the place of an overdue call, if it still holds it, and forgets that it is overdue.
    async fn expire(&self, overdue: &Overdue) -> Result<(), Failure>;
}
