//! What the feed's queue carries: events off the bus, and connections to be greeted.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    ConnectorId, CorrelationId, Envelope, Event, Failure, Message, StationId, Timestamp, read_fields,
};

use crate::SocketId;
use crate::frame::{ConnectorState, ConnectorStatusUpdate, Frame};

/// One message of the queue.
#[derive(Debug)]
pub enum News {
    /// `CONNECTOR_STATUS_CHANGED`.
    Changed(Envelope<ConnectorChanged>),
    /// A socket was opened.
    Connected(Greeting),
}

impl Message for News {
    const FIELDS: &'static str = "/detail";

    fn read(fields: Value) -> Result<Self, Failure> {
        match fields.get("eventType") {
            None => read_fields(fields).map(Self::Connected),
            Some(_) => Envelope::read(fields).map(Self::Changed),
        }
    }
}

/// A connector's new status.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorChanged {
    pub(crate) station_id: StationId,
    pub(crate) connector_id: ConnectorId,
    status: ConnectorState,
    /// By the clock of who reported it, which is the order that counts.
    at: Timestamp,
}

impl Event for ConnectorChanged {
    const TYPE: &'static str = "CONNECTOR_STATUS_CHANGED";
}

impl ConnectorChanged {
    /// The frame that tells of it.
    pub(crate) fn frame(&self) -> Result<String, Failure> {
        let frame = Frame::StationUpdate {
            station_id: self.station_id,
            r#type: "connector_status_update",
            data: ConnectorStatusUpdate {
                connector_id: self.connector_id,
                status: self.status,
                updated_at: self.at.timestamp(),
            },
        };
        frame.text()
    }
}

/// A text by which the updates of a connector sort: of two reports of one moment the one taken in later counts, and no
/// two events have the same.
pub(crate) fn version(event: &Envelope<ConnectorChanged>) -> String {
    let millis = |at: Timestamp| at.timestamp_millis().max(0);
    format!("{:015}.{:015}.{}", millis(event.payload.at), millis(event.timestamp), event.event_id)
}

/// A connection to be told that it stands. API Gateway lets nothing through to a socket before its `$connect` has
/// answered, so another function says it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Greeting {
    /// Whom to tell.
    pub socket_id: SocketId,
    /// When it was opened.
    pub timestamp: Timestamp,
    /// The handshake's.
    pub correlation_id: CorrelationId,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    fn changed(event_id: u8, timestamp: &str, at: &str) -> Value {
        json!({
            "eventId": format!("018f4c6e-2a8b-7c11-9d52-0000000000{event_id:02}"),
            "eventType": "CONNECTOR_STATUS_CHANGED", "version": 1, "timestamp": timestamp,
            "source": "charger-service", "correlationId": "018f4c6e-2a8b-7c11-9d52-3f6b1f0a7c44",
            "stationId": "48f8fb15-814d-4e9d-97e1-d2caea2a162f",
            "connectorId": "5d1f4a52-7b7e-4c0e-8f8f-2d6a4f0f9c01", "connectorNumber": 1, "chargerId": null,
            "status": "CHARGING", "previousStatus": null, "errorCode": null, "at": at,
        })
    }

    fn read(fields: Value) -> Envelope<ConnectorChanged> {
        match News::read(fields).unwrap() {
            News::Changed(event) => event,
            News::Connected(greeting) => panic!("{greeting:?}"),
        }
    }

    #[test]
    fn the_queue_carries_two_kinds_and_no_third() {
        read(changed(1, "2026-02-21T14:31:02Z", "2026-02-21T14:31:00Z"));
        let greeting = json!({
            "socketId": "abc=", "timestamp": "2026-02-21T14:31:02Z",
            "correlationId": "018f4c6e-2a8b-7c11-9d52-3f6b1f0a7c44",
        });
        assert!(matches!(News::read(greeting).unwrap(), News::Connected(_)));

        let mut other = changed(1, "2026-02-21T14:31:02Z", "2026-02-21T14:31:00Z");
        other["eventType"] = json!("SESSION_ENDED");
        let mut unknown = changed(1, "2026-02-21T14:31:02Z", "2026-02-21T14:31:00Z");
        unknown["status"] = json!("BROKEN");
        for hopeless in [other, unknown, json!({}), json!(null), json!({ "socketId": 7 })] {
            assert!(!News::read(hopeless).unwrap_err().retryable());
        }
    }

    #[test]
    fn the_reporters_clock_orders_updates_then_ours_then_the_id() {
        let told = "2026-02-21T14:31:02Z";
        let versions = [
            changed(9, "2026-02-21T14:39:00Z", "2026-02-21T14:30:59.999Z"),
            changed(2, told, "2026-02-21T14:31:00Z"),
            changed(3, told, "2026-02-21T14:31:00Z"),
            changed(1, "2026-02-21T14:31:02.001Z", "2026-02-21T14:31:00Z"),
            changed(1, "2026-02-21T14:30:00Z", "2026-02-21T14:31:00.001Z"),
        ]
        .map(|fields| version(&read(fields)));
        assert!(versions.is_sorted(), "{versions:?}");
    }
}
