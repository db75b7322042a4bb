//! What a charger reports of a transaction, in words that no protocol owns, and its effect on sessions (migration
//! 0006). Facts may come in any order, twice, or hours late.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use shared::{ChargerId, CorrelationId, EnergyWh, Failure, Outbox, SessionId, Statement, Timestamp};

/// Which end of a transaction a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FactKind {
    /// It began.
    Start,
    /// It goes on.
    Update,
    /// It is over.
    Stop,
}

/// A connector's status, as in the GraphQL schema, plus what OCPP 2.0.1 says instead of four of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectorStatus {
    /// Free.
    Available,
    /// A cable or a driver is there, no transaction yet.
    Preparing,
    /// Energy flows.
    Charging,
    /// A transaction, but no energy, by the car's or the charger's wish.
    Suspended,
    /// The transaction is over, the cable still in.
    Finishing,
    /// Kept for somebody.
    Reserved,
    /// Out of service.
    Unavailable,
    /// Broken.
    Faulted,
    /// In use, one way or another; the transaction tells which.
    Occupied,
}

/// What the meter said at one moment. Decimals travel as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeterReading {
    /// When, by the charger's clock.
    pub at: Timestamp,
    /// What the register showed.
    pub register_wh: EnergyWh,
    /// The power drawn at that moment, in kW.
    pub power_kw: Option<Decimal>,
    /// The state of charge of the battery, in percent.
    pub soc: Option<Decimal>,
}

/// One report of one transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// Which end it is about.
    pub kind: FactKind,
    /// When it happened, by the charger's clock.
    pub at: Timestamp,
    /// The transaction; none for a start that asks us for an id (OCPP 1.6).
    pub transaction_id: Option<String>,
    /// What identical starts have in common, where the id is ours to give (OCPP 1.6).
    pub start_key: Option<String>,
    /// Whether the id may be one that we have not heard of.
    pub awaited: bool,
    /// Its place among the transaction's reports (OCPP 2.0.1).
    pub seq_no: Option<i32>,
    /// The connector's number at the charger, the EVSE's in OCPP 2.0.1.
    pub connector_number: Option<i32>,
    /// The driver's tag, if it was presented.
    pub id_tag: Option<String>,
    /// The request that it answers (OCPP 2.0.1).
    pub remote_start_id: Option<i32>,
    /// The register when it began, if this report tells.
    pub meter_start_wh: Option<EnergyWh>,
    /// The lowest reading of the register in this report.
    pub meter_low_wh: Option<EnergyWh>,
    /// The highest.
    pub meter_high_wh: Option<EnergyWh>,
    /// What the meter said and when, no moment twice; for the course of the session, not for its sum.
    pub readings: Vec<MeterReading>,
    /// Why it stopped, in the charger's word.
    pub reason: Option<String>,
    /// What it says of its connector.
    pub connector_status: Option<ConnectorStatus>,
    /// The id of the session to open, should the transaction have none.
    pub new_session_id: SessionId,
}

/// What is known of a presented tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TagStatus {
    /// A driver's, who may charge.
    Accepted,
    /// Nobody's, or the driver has cancelled.
    Invalid,
    /// A driver's, who is charging elsewhere.
    ConcurrentTx,
}

/// The transaction after a report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// False for an id that is not one of ours; nothing was kept then.
    pub known: bool,
    /// Whether the report had come before.
    #[serde(default)]
    pub repeated: bool,
    /// The transaction, its id given by us where that is the protocol.
    pub transaction_id: Option<String>,
    /// Its session, if it has one.
    pub session_id: Option<SessionId>,
    /// The presented tag's status; none when none was presented.
    pub tag_status: Option<TagStatus>,
}

/// Adds a fact that the charger `reporter` tells, brings its session up to date and publishes what changed.
pub async fn report(
    outbox: &Outbox,
    reporter: ChargerId,
    fact: &Fact,
    correlation_id: CorrelationId,
    received_at: Timestamp,
) -> Result<Reported, Failure> {
    let statement = Statement::new(
        "SELECT report_transaction(:reporter::uuid, :fact::jsonb, :correlation::uuid, :now::timestamptz)",
    )
    .bind("reporter", reporter)
    .bind("fact", serde_json::to_value(fact).map_err(Failure::fault)?)
    .bind("correlation", correlation_id)
    .bind("now", received_at);
    let reported = outbox.write(statement).await?;
    reported.ok_or_else(|| Failure::fault("a report was taken in without an answer"))
}
