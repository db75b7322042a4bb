//! What is said on a socket, both ways: `{"event": …, "data": {…}}`.

use std::borrow::Cow;

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{ConnectorId, Failure, StationId, Timestamp, read_fields};

use crate::SocketId;

/// What a client may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// `subscribe_station`.
    Subscribe(StationId),
    /// `unsubscribe_station`.
    Unsubscribe(StationId),
}

impl Wish {
    /// Out of a message; the failure names the field that is wrong.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Event {
            SubscribeStation,
            UnsubscribeStation,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Subject {
            station_id: StationId,
        }
        #[derive(Deserialize)]
        struct Named {
            event: Event,
        }
        #[derive(Deserialize)]
        struct About {
            data: Subject,
        }
        let message: Value = serde_json::from_str(text)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Failure::invalid("", r#"must be JSON, {"event": …, "data": {…}}"#))?;
        // What is asked is looked at before what it is asked of.
        let Named { event } = read_fields(message.clone())?;
        let About { data } = read_fields(message)?;
        Ok(match event {
            Event::SubscribeStation => Self::Subscribe(data.station_id),
            Event::UnsubscribeStation => Self::Unsubscribe(data.station_id),
        })
    }
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub(crate) enum Frame<'a> {
    /// The connection stands. It may come after the answer to the client's first message.
    Connected {
        /// The socket's name, for support.
        socket_id: &'a SocketId,
        /// Since when, ISO 8601.
        timestamp: String,
    },
    /// From now on the station's updates come.
    Subscribed {
        /// Which.
        station_id: StationId,
    },
    /// They come no more.
    Unsubscribed {
        /// Which.
        station_id: StationId,
    },
    /// Something changed at a station.
    StationUpdate {
        /// Where.
        station_id: StationId,
        /// What sort of change `data` tells.
        r#type: &'static str,
        /// The change.
        data: ConnectorStatusUpdate,
    },
    /// The message before this did nothing.
    Error {
        /// Upper snake case.
        code: &'static str,
        /// For people.
        message: Cow<'a, str>,
        /// What to correct; null unless the code is INVALID.
        field: Option<&'a str>,
    },
}

/// A connector's new status.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectorStatusUpdate {
    pub(crate) connector_id: ConnectorId,
    pub(crate) status: ConnectorState,
    /// Epoch seconds, by the clock of who reported it.
    pub(crate) updated_at: i64,
}

/// A connector's status in the six words of this feed and of REST, read from the nine of GraphQL and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ConnectorState {
    /// Free.
    Available,
    /// A car is plugged in.
    #[serde(alias = "PREPARING", alias = "CHARGING", alias = "SUSPENDED", alias = "FINISHING")]
    Occupied,
    /// Kept for somebody.
    Reserved,
    /// Out of order by plan.
    #[serde(alias = "UNAVAILABLE")]
    Maintenance,
    /// Nobody tells.
    #[serde(alias = "UNKNOWN")]
    Offline,
    /// Out of order by fault.
    Faulted,
}

impl<'a> Frame<'a> {
    pub(crate) fn connected(socket_id: &'a SocketId, at: Timestamp) -> Self {
        Self::Connected { socket_id, timestamp: at.to_rfc3339_opts(SecondsFormat::Millis, true) }
    }

    /// Of a failure that the client can act on; none of a fault.
    pub(crate) fn of_failure(failure: &'a Failure) -> Option<Self> {
        let (code, field) = match failure {
            Failure::Invalid { field, .. } => {
                ("INVALID", Some(field.as_ref()).filter(|field| !["", "."].contains(field)))
            }
            Failure::Conflict { code, .. } => (*code, None),
            Failure::Unavailable(_) => ("UNAVAILABLE", None),
            _ => return None,
        };
        let message = match failure {
            Failure::Invalid { message, .. } | Failure::Conflict { message, .. } => {
                Cow::Borrowed(message.as_ref())
            }
            other => Cow::Owned(other.to_string()),
        };
        Some(Self::Error { code, message, field })
    }

    /// The text to send.
    pub(crate) fn text(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(Failure::fault)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    const STATION: &str = "48f8fb15-814d-4e9d-97e1-d2caea2a162f";

    #[test]
    fn both_wishes_are_read() {
        let wish =
            |event: &str| Wish::read(&json!({"event": event, "data": {"stationId": STATION}}).to_string());
        let station = STATION.parse().unwrap();
        assert_eq!(wish("subscribe_station").unwrap(), Wish::Subscribe(station));
        assert_eq!(wish("unsubscribe_station").unwrap(), Wish::Unsubscribe(station));
    }

    #[test]
    fn anything_else_is_refused_by_its_field() {
        for (text, field) in [
            (String::new(), json!(null)),
            ("hello".into(), json!(null)),
            ("[2]".into(), json!(null)),
            ("{}".into(), json!(null)),
            (json!({"event": 7, "data": {}}).to_string(), json!("event")),
            (json!({"event": "$connect", "data": {}}).to_string(), json!("event")),
            (json!({"event": "subscribe_station"}).to_string(), json!(null)),
            (json!({"event": "subscribe_station", "data": []}).to_string(), json!("data")),
            (
                json!({"event": "subscribe_station", "data": {"stationId": "7"}}).to_string(),
                json!("data.stationId"),
            ),
            (
                json!({"event": "subscribe_station", "data": {"stationId": null}}).to_string(),
                json!("data.stationId"),
            ),
        ] {
            let failure = Wish::read(&text).expect_err(&text);
            let frame: Value =
                serde_json::from_str(&Frame::of_failure(&failure).unwrap().text().unwrap()).unwrap();
            assert_eq!(
                (&frame["event"], &frame["data"]["code"]),
                (&json!("error"), &json!("INVALID")),
                "{text}"
            );
            assert_eq!(frame["data"]["field"], field, "{text}");
            assert!(!frame["data"]["message"].as_str().unwrap().is_empty());
        }
    }

    #[test]
    fn frames_are_what_the_clients_know() {
        let socket = SocketId::from("abc=");
        let at: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let station_id = STATION.parse().unwrap();
        let data = ConnectorStatusUpdate {
            connector_id: STATION.parse().unwrap(),
            status: ConnectorState::Occupied,
            updated_at: at.timestamp(),
        };
        for (frame, expected) in [
            (
                Frame::connected(&socket, at),
                json!({"event": "connected", "data": {"socketId": "abc=", "timestamp": "2024-01-01T00:00:00.000Z"}}),
            ),
            (
                Frame::Subscribed { station_id },
                json!({"event": "subscribed", "data": {"stationId": STATION}}),
            ),
            (
                Frame::Unsubscribed { station_id },
                json!({"event": "unsubscribed", "data": {"stationId": STATION}}),
            ),
            (
                Frame::StationUpdate { station_id, r#type: "connector_status_update", data },
                json!({"event": "station_update", "data": {
                    "stationId": STATION, "type": "connector_status_update",
                    "data": {"connectorId": STATION, "status": "OCCUPIED", "updatedAt": 1_704_067_200},
                }}),
            ),
            (
                Frame::of_failure(&Failure::conflict("LIMIT", "too many")).unwrap(),
                json!({"event": "error", "data": {"code": "LIMIT", "message": "too many", "field": null}}),
            ),
            (
                Frame::of_failure(&Failure::Unavailable("the table")).unwrap(),
                json!({"event": "error", "data": {
                    "code": "UNAVAILABLE", "message": "the table is unavailable, try again", "field": null,
                }}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&frame).unwrap(), expected);
        }
        assert!(Frame::of_failure(&Failure::fault("secret")).is_none());
    }

    #[test]
    fn every_status_of_an_event_has_its_word() {
        for (status, word) in [
            ("AVAILABLE", "AVAILABLE"),
            ("PREPARING", "OCCUPIED"),
            ("CHARGING", "OCCUPIED"),
            ("SUSPENDED", "OCCUPIED"),
            ("FINISHING", "OCCUPIED"),
            ("RESERVED", "RESERVED"),
            ("UNAVAILABLE", "MAINTENANCE"),
            ("UNKNOWN", "OFFLINE"),
            ("FAULTED", "FAULTED"),
        ] {
            let state: ConnectorState = serde_json::from_value(json!(status)).unwrap();
            assert_eq!(json!(state), json!(word));
        }
        assert!(serde_json::from_value::<ConnectorState>(json!("BROKEN")).is_err());
    }
}
