//! `SLOT_HOLD_CREATED` of a hold that Redis has: no statement writes it, so no outbox could tell of it, and it goes to the
//! bus at once or the hold is given back.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use shared::{CorrelationId, Envelope, Event, EventId, Failure, MissingSetting, Timestamp, setting};
use tokio::time::timeout;
use tracing::{info, warn};
use uuid::Uuid;

use crate::hold::Hold;

/// The longest that somebody who wants a slot waits for the bus.
const PATIENCE: Duration = Duration::from_secs(3);
const SOURCE: &str = "booking-service";

/// The bus, as far as holds go.
pub struct HoldEvents {
    bus: Client,
    bus_name: String,
}

impl HoldEvents {
    /// The bus of that name.
    pub fn new(bus: Client, bus_name: impl Into<String>) -> Self {
        Self { bus, bus_name: bus_name.into() }
    }

    /// From `EVENT_BUS_NAME`.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Client::new(config), setting("EVENT_BUS_NAME")?))
    }

    /// Tells of `hold`. Of one hold there is one event, however often it is told.
    pub(crate) async fn tell(
        &self,
        hold: &Hold,
        now: Timestamp,
        correlation_id: CorrelationId,
    ) -> Result<(), Failure> {
        let event = Envelope {
            event_id: EventId::from(Uuid::new_v5(&Uuid::NAMESPACE_OID, hold.token.as_str().as_bytes())),
            event_type: Hold::TYPE.to_owned(),
            version: 1,
            timestamp: now,
            source: SOURCE.to_owned(),
            correlation_id,
            payload: hold,
        };
        info!(event_type = Hold::TYPE, event_id = %event.event_id, %correlation_id, "publishing");
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus_name)
            .source(SOURCE)
            .detail_type(Hold::TYPE)
            .detail(serde_json::to_string(&event).map_err(Failure::fault)?)
            .build();
        let call = Box::pin(self.bus.put_events().entries(entry).send());
        let cause = match timeout(PATIENCE, call).await {
            Ok(Ok(answer)) if answer.failed_entry_count() == 0 => return Ok(()),
            Ok(Ok(_)) => "the bus refused it".to_owned(),
            Ok(Err(error)) => DisplayErrorContext(error).to_string(),
            Err(_) => "the bus did not answer in time".to_owned(),
        };
        warn!(cause, "a hold cannot be told of");
        Err(Failure::Unavailable("the event bus"))
    }
}
