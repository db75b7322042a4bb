//! What vendors report, one type a webhook, and the message that carries it through the queue.

use std::fmt;

use chrono::{SubsecRound, TimeDelta};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};
use shared::{
    BookingId, ConnectorId, CorrelationId, Failure, Message, StationId, Timestamp, VendorId,
    holds_card_number, read_fields, refuse_card_numbers,
};

use crate::{Cost, IdTag, MeterKwh, VendorConnectorId, VendorSessionId};

/// As JSON; more is nothing that belongs to a connector's status.
const MOST_METADATA: usize = 4096;

/// How long before it is sent what a webhook tells may have happened.
const OLDEST: TimeDelta = TimeDelta::days(30);

/// Which webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// A connector has another status.
    ConnectorStatus,
    /// A session has begun.
    SessionStart,
    /// A session is over.
    SessionEnd,
}

/// Standard Webhooks' `webhook-id`: 1 to 100 visible ASCII characters without a point, since a point ends it in what is
/// signed; and no card's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct WebhookId(String);

/// `connector-status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorStatus {
    /// Where.
    pub station_id: StationId,
    /// Which connector, by our name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<ConnectorId>,
    /// Which connector, by the vendor's.
    pub vendor_connector_id: VendorConnectorId,
    /// What it does.
    pub status: VendorStatus,
    /// What else the vendor says of it; kept with the report.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A connector's status in vendors' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum VendorStatus {
    /// Free.
    Available,
    /// A car is there, whether it charges or not.
    Occupied,
    /// Kept for somebody.
    Reserved,
    /// Out of service.
    Maintenance,
    /// Not heard of.
    Offline,
    /// Broken.
    Faulted,
}

/// Up to 4096 bytes of JSON, without U+0000, which PostgreSQL does not keep.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Option<Map<String, Value>>")]
pub struct Metadata(Map<String, Value>);

/// `session-start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStart {
    /// Which session, by the vendor's name for it.
    pub vendor_session_id: VendorSessionId,
    /// Where.
    pub connector_id: ConnectorId,
    /// What the meter shows, in kWh.
    pub start_meter_reading: MeterKwh,
    /// For whom: who booked it …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub booking_id: Option<BookingId>,
    /// … or whose tag was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_tag: Option<IdTag>,
}

/// `session-end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEnd {
    /// Which session, by the vendor's name for it.
    pub vendor_session_id: VendorSessionId,
    /// What the meter shows, in kWh.
    pub end_meter_reading: MeterKwh,
    /// What has flowed, as the vendor sums it up; kept, not billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_kwh: Option<MeterKwh>,
    /// What the vendor says it costs; kept, not billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_amount: Option<Cost>,
}

/// What one webhook tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// `connector-status`.
    ConnectorStatus(ConnectorStatus),
    /// `session-start`.
    SessionStart(SessionStart),
    /// `session-end`.
    SessionEnd(SessionEnd),
}

/// A webhook that was verified: what the queue carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who tells it.
    pub vendor_id: VendorId,
    /// A repeated delivery carries the same.
    pub webhook_id: WebhookId,
    /// When it happened, as [`occurred_at`] has it.
    pub occurred_at: Timestamp,
    /// Follows the webhook to its end.
    pub correlation_id: CorrelationId,
    /// What it tells.
    pub told: Told,
}

impl Told {
    /// A webhook's body. What does not fit is named by its field.
    pub fn parse(kind: Kind, body: &[u8]) -> Result<Self, Failure> {
        let no_json = |error: serde_json::Error| Failure::invalid("body", format!("is not JSON: {error}"));
        let fields: Value = serde_json::from_slice(body).map_err(no_json)?;
        if !fields.is_object() {
            return Err(Failure::invalid("body", "must be an object"));
        }
        refuse_card_numbers(&fields)?;
        // Not out of `fields`: there, numbers are floats already.
        Self::read(kind, &mut serde_json::Deserializer::from_slice(body))
    }

    fn read<'de, D: Deserializer<'de>>(kind: Kind, fields: D) -> Result<Self, Failure>
    where
        D::Error: fmt::Display,
    {
        match kind {
            Kind::ConnectorStatus => serde_path_to_error::deserialize(fields).map(Self::ConnectorStatus),
            Kind::SessionStart => serde_path_to_error::deserialize(fields).map(Self::SessionStart),
            Kind::SessionEnd => serde_path_to_error::deserialize(fields).map(Self::SessionEnd),
        }
        .map_err(|error| invalid(&error.path().to_string(), &error.inner().to_string()))
    }

    /// Which webhook tells it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ConnectorStatus(_) => Kind::ConnectorStatus,
            Self::SessionStart(_) => Kind::SessionStart,
            Self::SessionEnd(_) => Kind::SessionEnd,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Occurred {
    occurred_at: Option<Timestamp>,
}

/// When what a webhook's body tells happened, to the millisecond: its `occurredAt`, which stays the same however often
/// the webhook is sent; without it, when this one was sent. Only moments of the thirty days before that are possible.
pub(crate) fn occurred_at(body: &[u8], sent_at: Timestamp) -> Result<Timestamp, Failure> {
    let told: Occurred = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))
        .map_err(|error| invalid(&error.path().to_string(), &error.inner().to_string()))?;
    let Some(at) = told.occurred_at else { return Ok(sent_at) };
    // `sent_at` is told in full seconds.
    if at < sent_at - OLDEST || at >= sent_at + TimeDelta::seconds(1) {
        let why = "must be before webhook-timestamp, by at most thirty days";
        return Err(Failure::invalid("occurredAt", why));
    }
    Ok(at.trunc_subsecs(3))
}

/// A field that is missing has no path of its own: serde names it in the message alone.
fn invalid(path: &str, message: &str) -> Failure {
    // Where in the body is no matter once the field is named.
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match missing {
        Some(name) => Failure::invalid(name.to_owned(), "is missing"),
        None => Failure::invalid(if path == "." { "body" } else { path }.to_owned(), message.to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Carried {
    vendor_id: VendorId,
    webhook_id: WebhookId,
    kind: Kind,
    occurred_at: Timestamp,
    correlation_id: CorrelationId,
    body: Value,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { vendor_id, webhook_id, occurred_at, correlation_id, told } = self;
        let message = json!({
            "vendorId": vendor_id, "webhookId": webhook_id, "kind": told.kind(), "occurredAt": occurred_at,
            "correlationId": correlation_id, "body": told,
        });
        message.serialize(serializer)
    }
}

impl Message for Report {
    const FIELDS: &'static str = "";

    fn read(fields: Value) -> Result<Self, Failure> {
        let Carried { vendor_id, webhook_id, kind, occurred_at, correlation_id, body } = read_fields(fields)?;
        let told = Told::read(kind, body)?;
        Ok(Self { vendor_id, webhook_id, occurred_at, correlation_id, told })
    }
}

impl VendorStatus {
    /// As `set_connector_status` takes it.
    pub fn ours(self) -> &'static str {
        match self {
            Self::Available => "AVAILABLE",
            Self::Occupied => "OCCUPIED",
            Self::Reserved => "RESERVED",
            Self::Maintenance => "UNAVAILABLE",
            Self::Offline => "UNKNOWN",
            Self::Faulted => "FAULTED",
        }
    }
}

impl Kind {
    /// As the queue and the database call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectorStatus => "CONNECTOR_STATUS",
            Self::SessionStart => "SESSION_START",
            Self::SessionEnd => "SESSION_END",
        }
    }
}

impl WebhookId {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebhookId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_of_ids = |c: u8| c.is_ascii_graphic() && c != b'.';
        if !(1..=100).contains(&text.len()) || !text.bytes().all(is_of_ids) {
            Err("must have 1 to 100 visible ASCII characters and no point")
        } else if holds_card_number(&text) {
            Err("must not hold a card number")
        } else {
            Ok(Self(text))
        }
    }
}

impl TryFrom<Option<Map<String, Value>>> for Metadata {
    type Error = &'static str;

    fn try_from(fields: Option<Map<String, Value>>) -> Result<Self, Self::Error> {
        let fields = fields.unwrap_or_default();
        let json = serde_json::to_string(&fields).map_err(|_| "must be JSON")?;
        if json.len() > MOST_METADATA {
            Err("must have at most 4096 bytes")
        } else if json.contains("\\u0000") {
            Err("must not hold U+0000")
        } else {
            Ok(Self(fields))
        }
    }
}

#[cfg(test)]
mod tests;
