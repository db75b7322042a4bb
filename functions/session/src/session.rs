//! A session as the API shows it.

use serde::{Deserialize, Deserializer, Serialize};
use shared::{ConnectorId, EnergyKwh, Money, SessionId, StationId, TariffId, Timestamp, UserId};

/// How far a session has come. The last three are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// The charger is being asked.
    Starting,
    /// The charger reports a transaction.
    InProgress,
    /// The charger is being asked to stop.
    Stopping,
    /// The charger has reported the end.
    Completed,
    /// It never began, and not by the driver's wish.
    Failed,
    /// The driver or an operator ended it before it began.
    Cancelled,
}

impl Status {
    /// Whether it is final.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Its name in the database and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::InProgress => "IN_PROGRESS",
            Self::Stopping => "STOPPING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// The GraphQL `Session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Ordered by time of creation.
    pub id: SessionId,
    /// Who charges.
    pub user_id: UserId,
    /// Where.
    pub station_id: StationId,
    /// At which of its connectors.
    pub connector_id: ConnectorId,
    /// How far it has come.
    pub status: Status,
    /// When energy began to flow, by the charger's clock; none before.
    pub start_time: Option<Timestamp>,
    /// When the charger stopped, by its clock; none before.
    pub end_time: Option<Timestamp>,
    /// What has flowed so far.
    #[serde(rename = "energyKWh")]
    pub energy: EnergyKwh,
    /// What was billed, to the smallest coin; none before.
    #[serde(default, deserialize_with = "rounded")]
    pub cost: Option<Money>,
    /// By which tariff; agreed when energy begins to flow, if there is one.
    pub tariff_id: Option<TariffId>,
    /// Why it failed, was cancelled or stopped.
    pub reason: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When any of this last changed.
    pub updated_at: Timestamp,
}

fn rounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Money>, D::Error> {
    Ok(Option::<Money>::deserialize(deserializer)?.map(Money::rounded))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_becomes_the_graphql_type_with_exact_energy_and_cost() {
        let row = json!({
            "id": "0198c0de-0000-7000-8000-000000000001",
            "userId": "0198c0de-0000-7000-8000-000000000002",
            "stationId": "0198c0de-0000-7000-8000-000000000003",
            "connectorId": "0198c0de-0000-7000-8000-000000000004",
            "status": "IN_PROGRESS",
            "startTime": "2026-02-21T13:33:00.000Z",
            "endTime": null,
            "energyKWh": "22.401",
            "cost": {"amount": "12.5000", "currency": "EUR"},
            "tariffId": "0198c0de-0000-7000-8000-000000000005",
            "reason": null,
            "createdAt": "2026-02-21T13:32:00.000Z",
            "updatedAt": "2026-02-21T13:33:00.000Z",
        });
        let session: Session = serde_json::from_value(row).unwrap();
        let answer = serde_json::to_value(&session).unwrap();
        assert_eq!(answer["energyKWh"], json!(22.401));
        assert_eq!(answer["cost"], json!({"amount": "12.50", "currency": "EUR"}));
        assert_eq!(answer["startTime"], json!("2026-02-21T13:33:00Z"));
        assert_eq!(answer["status"], json!("IN_PROGRESS"));
    }
}
