//! What every function needs and nothing a single context owns: typed ids and quantities, failures, events and
//! their outbox, the Data API and Redis clients, metrics, and the entry points that run a handler as a Lambda.
//! Knows no table, no GraphQL type and no OCPP message.

mod cache;
mod caller;
mod card_number;
mod consumer;
mod database;
mod deadline;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod event;
mod failure;
mod ids;
mod metrics;
mod money;
mod outbox;
mod page;
mod panic;
mod quantity;
mod read;
mod reason;
mod redelivery;
mod resolver;
mod run;
mod settings;
mod telemetry;
mod weekday;

pub use cache::Cache;
pub use caller::{Caller, Role, User};
pub use card_number::{holds_card_number, refuse_card_numbers};
pub use consumer::{Message, consumer};
pub use database::{Database, DatabaseError, Parameter, Statement};
pub use deadline::within;
pub use event::{Envelope, Event, Events};
pub use failure::Failure;
pub use ids::{
    BookingId, ChargerId, ConnectorId, CorrelationId, EventId, InvoiceId, ParseIdError, PaymentId, PlanId,
    RefundId, SessionId, StationId, SubscriptionId, SubscriptionPeriodId, TariffId, UserId, VehicleId,
    VendorId,
};
pub use metrics::{Metric, Metrics};
pub use money::{Currency, Money, MoneyError};
pub use outbox::{Backlog, Outbox, OutboxPlace, Relayed};
pub use page::{Cursor, Edge, First, Page, PageInfo};
pub use panic::caught;
pub use quantity::{EnergyKwh, EnergyWh, PowerKw};
pub use read::read_fields;
pub use reason::Reason;
pub use resolver::resolver;
pub use run::{Invocation, run, task};
pub use settings::{MissingSetting, aws_config, setting};
pub use telemetry::start_tracing;
pub use weekday::Weekday;

/// A moment, always in UTC; its time zone is the reader's business.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
