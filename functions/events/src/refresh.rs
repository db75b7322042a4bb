//! What an event changes in the cache. Repeated, late and overtaken events leave it as the newest one says.

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    Cache, ConnectorId, EnergyKwh, Envelope, Events, Failure, SessionId, StationId, TariffId, Timestamp,
    UserId, read_fields,
};

use crate::cached;

/// The events that the cache follows.
#[derive(Debug)]
pub enum News {
    /// `CONNECTOR_STATUS_CHANGED`.
    Connector(ConnectorChanged),
    /// `SESSION_STARTED`, `SESSION_UPDATED` or `SESSION_ENDED`.
    Session(SessionChanged),
    /// `OCM_SYNC_COMPLETED`: the mirror has new stations.
    Mirror,
}

impl Events for News {
    fn read(event_type: &str, fields: Value) -> Option<Result<Self, Failure>> {
        Some(match event_type {
            "CONNECTOR_STATUS_CHANGED" => read_fields(fields).map(Self::Connector),
            "SESSION_STARTED" | "SESSION_UPDATED" | "SESSION_ENDED" => read_fields(fields).map(Self::Session),
            "OCM_SYNC_COMPLETED" => Ok(Self::Mirror),
            _ => return None,
        })
    }
}

/// A connector's new status.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorChanged {
    station_id: StationId,
    connector_id: ConnectorId,
    status: String,
    /// None for a connector that was just set up.
    previous_status: Option<String>,
    error_code: Option<String>,
    /// By the charger's or the vendor's clock, which is the order that counts.
    at: Timestamp,
}

/// A session's new state: what is read is what is kept, in the words of the GraphQL `Session`. One that is open
/// has neither end nor cost.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionChanged {
    #[serde(rename(deserialize = "sessionId"))]
    id: SessionId,
    user_id: UserId,
    station_id: StationId,
    connector_id: ConnectorId,
    status: String,
    #[serde(rename(deserialize = "startedAt"))]
    start_time: Option<Timestamp>,
    #[serde(rename(deserialize = "energyKwh", serialize = "energyKWh"))]
    energy: EnergyKwh,
    tariff_id: Option<TariffId>,
    reason: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl SessionChanged {
    fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "COMPLETED" | "FAILED" | "CANCELLED")
    }
}

fn availability_of(station: StationId) -> String {
    format!("station:{station}:availability")
}

/// Brings the cache up to date; fails when Redis is gone, so that the queue tries again.
pub async fn refresh(cache: &Cache, event: Envelope<News>, now: Timestamp) -> Result<(), Failure> {
    let told_at = event.timestamp.timestamp_millis();
    match &event.payload {
        News::Connector(change) => {
            // Any report is newer than the setting up, which is by our clock. Of two reports of one moment, the one taken
            // in later counts.
            let reported_at = change.previous_status.as_ref().map_or(0, |_| change.at.timestamp_millis());
            let age = format!("{reported_at:015}.{told_at:015}");
            let key = format!("station:{}:connectors:{}", change.station_id, change.connector_id);
            let updated_at = change.at.to_rfc3339_opts(SecondsFormat::Millis, true);
            let mut fields = vec![("status", change.status.as_str()), ("updatedAt", &updated_at)];
            fields.extend(change.error_code.as_deref().map(|code| ("errorCode", code)));
            cached::put_fields(cache, &key, &age, &fields).await?;
            let station = change.station_id;
            cached::forget(cache, &[format!("station:{station}:detail"), availability_of(station)]).await
        }
        News::Session(change) => {
            // No two states of a session have the same.
            let age = change.updated_at.to_rfc3339_opts(SecondsFormat::Millis, true);
            // That a newer state was told is not remembered for ever: a session told of late is left to the database.
            let is_late = event.timestamp + cached::LIFETIME / 2 < now;
            let kept = (!change.is_over() && !is_late).then_some(change);
            cached::put(cache, &format!("session:{}", change.id), &age, kept).await?;
            // What it draws meanwhile takes no other time of its connector.
            let is_begun = event.event_type == "SESSION_STARTED" || change.status == "STARTING";
            if is_begun || change.is_over() {
                cached::forget(cache, &[availability_of(change.station_id)]).await?;
            }
            Ok(())
        }
        News::Mirror => cached::begin_generation(cache).await,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn each_followed_event_is_read_and_no_other() {
        let connector = json!({
            "stationId": "48f8fb15-814d-4e9d-97e1-d2caea2a162f",
            "connectorId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf8",
            "connectorNumber": 1, "chargerId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf9",
            "status": "CHARGING", "previousStatus": "PREPARING", "errorCode": null, "at": "2026-02-21T13:33:00.000Z",
        });
        assert!(matches!(News::read("CONNECTOR_STATUS_CHANGED", connector), Some(Ok(News::Connector(_)))));
        let session = json!({
            "sessionId": "6fe27f6e-ff2d-4dda-9f86-3de70e1a4bbf", "userId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf8",
            "stationId": "48f8fb15-814d-4e9d-97e1-d2caea2a162f", "status": "COMPLETED", "energyKwh": 22.4,
            "connectorId": "0b1732fa-631a-4952-b6d6-2d586ed9dbf8",
            "createdAt": "2026-02-21T13:32:00.000Z", "updatedAt": "2026-02-21T14:31:00.000Z",
        });
        for event_type in ["SESSION_STARTED", "SESSION_UPDATED", "SESSION_ENDED"] {
            let Some(Ok(News::Session(change))) = News::read(event_type, session.clone()) else { panic!() };
            assert!(change.is_over());
        }
        assert!(matches!(
            News::read("OCM_SYNC_COMPLETED", json!({ "processed": 1 })),
            Some(Ok(News::Mirror))
        ));
        assert!(News::read("USER_REGISTERED", json!({})).is_none());
        assert!(matches!(News::read("SESSION_ENDED", json!({})), Some(Err(Failure::Invalid { .. }))));
    }
}
