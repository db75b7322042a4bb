//! Aurora PostgreSQL through the RDS Data API. One call a statement; a business write is one statement.
//! Every row is one `jsonb` value, read into the caller's type: decimals cast to `text` on the way.
//!
//! What fails for a moment is tried again, within the time there is: any statement that was certainly not run (the API
//! throttles, the cluster wakes up, nobody takes the request) or was rolled back (a deadlock); one whose answer was
//! lost only if it may be run twice, which [`Statement::read`] and [`Statement::repeatable`] say. The SDK itself tries
//! nothing again: it would not tell these apart.

mod attempt;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::config::StalledStreamProtectionConfig;
use aws_sdk_rdsdata::config::retry::RetryConfig;
use aws_sdk_rdsdata::types::{Field, SqlParameter, TypeHint};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{error, warn};
use uuid::Uuid;

use self::attempt::{Backoff, Failed};
use crate::deadline::deadline;

use crate::{
    BookingId, ChargerId, ConnectorId, CorrelationId, Currency, EventId, Failure, InvoiceId, MissingSetting,
    PaymentId, PlanId, RefundId, SessionId, StationId, SubscriptionId, SubscriptionPeriodId, TariffId,
    Timestamp, UserId, VehicleId, VendorId, setting,
};

/// How long a statement is tried again for: who waits longer has left.
const PATIENCE: Duration = Duration::from_secs(20);

/// The cluster, by the names the Data API knows it by.
#[derive(Clone)]
pub struct Database {
    client: Client,
    cluster_arn: String,
    secret_arn: String,
    name: String,
}

/// Why a statement gave no rows.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// PostgreSQL refused it.
    #[error("SQLSTATE {sqlstate}: {message}")]
    Rejected {
        /// Five characters, `23505`.
        sqlstate: String,
        /// PostgreSQL's own words; may quote data, so it goes to no client.
        message: String,
    },
    /// Throttled, starting, or not reachable, for as long as there was time to try: worth another try later. A write
    /// may have been done all the same.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// It took longer than the Data API (45 s) or PostgreSQL lets it, and was undone. Another try would take as long.
    #[error("the statement took too long: {0}")]
    TimedOut(String),
    /// A request that the Data API does not take: a defect of ours.
    #[error("the Data API refused the request: {0}")]
    Refused(String),
    /// A row that is not what the caller reads it as.
    #[error("an unexpected row: {0}")]
    Row(#[from] serde_json::Error),
}

impl DatabaseError {
    /// Whether the named constraint or unique index stood in the way.
    pub fn violates(&self, constraint: &str) -> bool {
        matches!(self, Self::Rejected { sqlstate, message }
            if sqlstate.starts_with("23") && message.contains(&format!("\"{constraint}\"")))
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(cause) => {
                warn!(cause, "the database is unavailable");
                Self::Unavailable("the database")
            }
            DatabaseError::TimedOut(cause) => {
                error!(cause, "a statement took too long");
                Self::Unavailable("the database")
            }
            error => Self::fault(error),
        }
    }
}

/// One SQL statement with its named parameters (`:name`).
#[derive(Debug, Clone)]
pub struct Statement {
    sql: &'static str,
    parameters: Vec<SqlParameter>,
    is_repeatable: bool,
}

impl Statement {
    /// A statement without parameters yet.
    pub fn new(sql: &'static str) -> Self {
        Self { sql, parameters: Vec::new(), is_repeatable: false }
    }

    /// A statement that changes nothing and locks nothing, so that it is run again when its answer was lost.
    pub fn read(sql: &'static str) -> Self {
        Self::new(sql).repeatable()
    }

    /// Says that running it twice does and answers what running it once does: its second run finds the first one's rows
    /// and gives the same. Only then is it run again when an answer was lost. One that only reads is a
    /// [`Statement::read`].
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Binds `:name`. Cast it in the SQL where its type is not plain from the place (`:id::uuid`).
    #[must_use]
    pub fn bind(mut self, name: &str, value: impl Parameter) -> Self {
        let (field, hint) = value.field();
        self.parameters.push(SqlParameter::builder().name(name).value(field).set_type_hint(hint).build());
        self
    }
}

impl Database {
    /// A database by the cluster's and its secret's ARN and its own name.
    #[expect(clippy::needless_pass_by_value, reason = "one like it, but for its retries, takes its place")]
    pub fn new(
        client: Client,
        cluster_arn: impl Into<String>,
        secret_arn: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        let config = client.config().to_builder().retry_config(RetryConfig::disabled());
        // Answers are small and come at once or not at all; a call ends when its function has no more time.
        let config = config.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let client = Client::from_conf(config.build());
        Self { client, cluster_arn: cluster_arn.into(), secret_arn: secret_arn.into(), name: name.into() }
    }

    /// From `CLUSTER_ARN`, `DATABASE_SECRET_ARN` and `DATABASE_NAME`.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        let (cluster, secret) = (setting("CLUSTER_ARN")?, setting("DATABASE_SECRET_ARN")?);
        Ok(Self::new(Client::new(config), cluster, secret, setting("DATABASE_NAME")?))
    }

    /// Every row's first column, read as `T`.
    pub async fn rows<T: DeserializeOwned>(&self, statement: Statement) -> Result<Vec<T>, DatabaseError> {
        let rows = self.execute(&statement).await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row)?)).collect()
    }

    /// The first row, if there is one.
    pub async fn row<T: DeserializeOwned>(&self, statement: Statement) -> Result<Option<T>, DatabaseError> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    async fn execute(&self, statement: &Statement) -> Result<Vec<String>, DatabaseError> {
        let until = deadline();
        let patience = (Instant::now() + PATIENCE).min(until);
        let mut backoff = Backoff::new();
        loop {
            let (cause, is_resuming) = match timeout_at(until, self.attempt(statement)).await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(Failed::Final(error))) => return Err(error),
                Ok(Err(Failed::Undone { cause, is_resuming })) => (cause, is_resuming),
                Ok(Err(Failed::Unknown(cause))) if statement.is_repeatable => (cause, false),
                Ok(Err(Failed::Unknown(cause))) => return Err(DatabaseError::Unavailable(cause)),
                Err(_) => {
                    return Err(DatabaseError::Unavailable("no answer in the time there is".to_owned()));
                }
            };
            let wait = backoff.next(is_resuming);
            if Instant::now() + wait >= patience {
                return Err(DatabaseError::Unavailable(cause));
            }
            warn!(cause, "the database did not take a statement: tried again");
            sleep(wait).await;
        }
    }

    async fn attempt(&self, statement: &Statement) -> Result<Vec<String>, Failed> {
        let call = self
            .client
            .execute_statement()
            .resource_arn(&self.cluster_arn)
            .secret_arn(&self.secret_arn)
            .database(&self.name)
            .sql(statement.sql)
            .set_parameters(Some(statement.parameters.clone()));
        // On the heap: the SDK's futures nest so deeply that a handler around them overflows the compiler's limits.
        let output = Box::pin(call.send()).await?;
        let first_column = |row: Vec<Field>| match row.into_iter().next() {
            Some(Field::StringValue(text)) => text,
            _ => "null".to_owned(),
        };
        Ok(output.records.unwrap_or_default().into_iter().map(first_column).collect())
    }
}

/// A value that can be bound.
pub trait Parameter {
    /// The Data API's form of it and the type PostgreSQL shall read it as.
    fn field(self) -> (Field, Option<TypeHint>);
}

impl Parameter for String {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::StringValue(self), None)
    }
}

impl Parameter for &str {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::StringValue(self.to_owned()), None)
    }
}

impl Parameter for i64 {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::LongValue(self), None)
    }
}

impl Parameter for f64 {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::DoubleValue(self), None)
    }
}

impl Parameter for bool {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::BooleanValue(self), None)
    }
}

impl Parameter for Decimal {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::StringValue(self.to_string()), Some(TypeHint::Decimal))
    }
}

impl Parameter for Uuid {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::StringValue(self.to_string()), Some(TypeHint::Uuid))
    }
}

impl Parameter for Timestamp {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::StringValue(self.format("%Y-%m-%d %H:%M:%S%.6f").to_string()), Some(TypeHint::Timestamp))
    }
}

impl Parameter for Value {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::StringValue(self.to_string()), Some(TypeHint::Json))
    }
}

impl Parameter for Currency {
    fn field(self) -> (Field, Option<TypeHint>) {
        (Field::StringValue(self.code().to_owned()), None)
    }
}

impl<P: Parameter> Parameter for Option<P> {
    fn field(self) -> (Field, Option<TypeHint>) {
        self.map_or((Field::IsNull(true), None), Parameter::field)
    }
}

macro_rules! id_parameters {
    ($($id:ty),* $(,)?) => {$(
        impl Parameter for $id {
            fn field(self) -> (Field, Option<TypeHint>) {
                self.uuid().field()
            }
        }
    )*};
}

id_parameters!(
    BookingId,
    ChargerId,
    ConnectorId,
    CorrelationId,
    EventId,
    InvoiceId,
    PaymentId,
    PlanId,
    RefundId,
    SessionId,
    StationId,
    SubscriptionId,
    SubscriptionPeriodId,
    TariffId,
    UserId,
    VehicleId,
    VendorId,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_bound_in_utc_to_the_microsecond() {
        let moment = "2026-02-21T14:31:00.123456789+02:00".parse::<Timestamp>().unwrap_or_default();
        assert_eq!(moment.field().0, Field::StringValue("2026-02-21 12:31:00.123456".into()));
    }
}
