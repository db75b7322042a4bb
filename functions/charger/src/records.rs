//! What the handlers ask of the database about chargers: the capability, and the words it is asked in.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use session::{ConnectorStatus, Fact, Reported, Status};
use shared::{BookingId, ChargerId, CorrelationId, Failure, SessionId, Timestamp};

use crate::{ChargePointId, Protocol};

/// Whether an operator lets a charger take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Registration {
    /// It does.
    Accepted,
    /// Not yet: it may boot again later, and nothing else.
    Pending,
    /// It does not.
    Rejected,
}

/// A charger as it was set up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// Our id of it.
    pub id: ChargerId,
    /// PHC string.
    pub password_hash: String,
    /// Whether it may take part.
    pub registration: Registration,
}

/// What a charger says of itself when it boots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// Who made it.
    pub vendor: String,
    /// What it is.
    pub model: String,
    /// Which one it is.
    pub serial_number: Option<String>,
    /// What it runs.
    pub firmware: Option<String>,
}

/// A charger's word on one of its connectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// From 1; 0 is the charger itself.
    pub connector_number: i32,
    /// What it is.
    pub status: ConnectorStatus,
    /// What is wrong; none when nothing is.
    pub error_code: Option<String>,
    /// When, by the charger's clock.
    pub at: Timestamp,
}

/// What a command to a charger must know of a session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Commanded {
    /// The session's state now, which may be past the one that asked for the command.
    pub status: Status,
    /// Where to send it.
    pub charge_point_id: ChargePointId,
    /// What was last spoken there; none before the first connection.
    pub protocol: Option<Protocol>,
    /// Whether the charger has a socket open, as far as we know.
    pub online: bool,
    /// At the charger.
    pub connector_number: i32,
    /// The driver's.
    pub id_tag: String,
    /// The session's name in an OCPP 2.0.1 request.
    pub remote_start_id: i32,
    /// The charger's transaction; none before it began.
    pub transaction_id: Option<String>,
}

/// What a charger is to do about a booking of one of its connectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Need {
    /// To keep the connector for the driver, who is expected.
    Reserve,
    /// To keep it no longer: the driver is not expected any more.
    Release,
}

/// What a command to a charger must know of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// What the booking asks of the charger now, which may be past what an event of it asked; none when nothing.
    pub need: Option<Need>,
    /// Where to send it.
    pub charge_point_id: ChargePointId,
    /// What was last spoken there; none before the first connection.
    pub protocol: Option<Protocol>,
    /// Whether the charger has a socket open, as far as we know.
    pub online: bool,
    /// At the charger.
    pub connector_number: i32,
    /// The driver's, as in the session that they will begin.
    pub id_tag: String,
    /// The booking's name at the charger.
    pub reservation_id: i32,
    /// When it lapses by itself: the booking's end.
    pub ends_at: Timestamp,
}

/// What passing time has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expired {
    /// Sessions that never began.
    pub failed: u32,
    /// Transactions settled without a stop or with reports missing.
    pub settled: u32,
    /// Chargers asked once more to stop a session, or a transaction that nobody pays for.
    pub asked_again: u32,
    /// Chargers whose socket must be gone.
    pub disconnected: u32,
}

/// The database's side of chargers.
#[async_trait(?Send)]
pub trait Records {
    /// The charger that dials in as `id`.
    async fn find(&self, id: &ChargePointId) -> Result<Option<Registered>, Failure>;

    /// Notes an open socket in place of any other.
    async fn connected(
        &self,
        charger: ChargerId,
        connection: &str,
        protocol: Protocol,
        at: Timestamp,
    ) -> Result<(), Failure>;

    /// Notes a closed socket, unless another one has taken its place.
    async fn disconnected(&self, charger: ChargerId, connection: &str, at: Timestamp) -> Result<(), Failure>;

    /// Notes a boot; tells whether the charger may take part.
    async fn booted(&self, charger: ChargerId, boot: &Boot, at: Timestamp) -> Result<Registration, Failure>;

    /// Notes a sign of life.
    async fn seen(&self, charger: ChargerId, at: Timestamp) -> Result<(), Failure>;

    /// Whether a tag is a driver's, in any case of its letters.
    async fn tag_is_known(&self, charger: ChargerId, id_tag: &str, at: Timestamp) -> Result<bool, Failure>;

    /// Takes in a connector's status; false for a number that is not set up.
    async fn status(
        &self,
        charger: ChargerId,
        report: &StatusReport,
        correlation_id: CorrelationId,
        at: Timestamp,
    ) -> Result<bool, Failure>;

    /// Takes in one report of a transaction.
    async fn report(
        &self,
        charger: ChargerId,
        fact: &Fact,
        correlation_id: CorrelationId,
        at: Timestamp,
    ) -> Result<Reported, Failure>;

    /// What a command for this session must know; none when there is no such session.
    async fn commanded(&self, session: SessionId, at: Timestamp) -> Result<Option<Commanded>, Failure>;

    /// What a command for this booking must know; none when there is no such booking, or no charger of ours has its
    /// connector.
    async fn reservation(&self, booking: BookingId, at: Timestamp) -> Result<Option<Reservation>, Failure>;

    /// Gives up a session that has not begun.
    async fn fail(&self, session: SessionId, reason: &'static str, at: Timestamp) -> Result<(), Failure>;

    /// Does what passing time brings, some hundreds of things at most.
    async fn expire(&self, at: Timestamp) -> Result<Expired, Failure>;
}
