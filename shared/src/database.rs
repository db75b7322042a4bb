//! Aurora PostgreSQL through the RDS Data API. One call a statement; a business write is one statement.
//! Every row is one `jsonb` value, read into the caller's type: decimals cast to `text` on the way.

use aws_config::SdkConfig;
use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::error::DisplayErrorContext;
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementError;
use aws_sdk_rdsdata::types::{Field, SqlParameter, TypeHint};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    ChargerId, ConnectorId, CorrelationId, Currency, EventId, Failure, InvoiceId, MissingSetting, PaymentId,
    PlanId, RefundId, SessionId, StationId, SubscriptionId, SubscriptionPeriodId, TariffId, Timestamp,
    UserId, VehicleId, setting,
};

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
    /// Throttled, starting, or not reachable: worth another try.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
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
                tracing::warn!(cause, "the database is unavailable");
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
}

impl Statement {
    /// A statement without parameters yet.
    pub fn new(sql: &'static str) -> Self {
        Self { sql, parameters: Vec::new() }
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
    pub fn new(
        client: Client,
        cluster_arn: impl Into<String>,
        secret_arn: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self { client, cluster_arn: cluster_arn.into(), secret_arn: secret_arn.into(), name: name.into() }
    }

    /// From `CLUSTER_ARN`, `DATABASE_SECRET_ARN` and `DATABASE_NAME`.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        let (cluster, secret) = (setting("CLUSTER_ARN")?, setting("DATABASE_SECRET_ARN")?);
        Ok(Self::new(Client::new(config), cluster, secret, setting("DATABASE_NAME")?))
    }

    /// Every row's first column, read as `T`.
    pub async fn rows<T: DeserializeOwned>(&self, statement: Statement) -> Result<Vec<T>, DatabaseError> {
        let rows = self.execute(statement.sql, statement.parameters).await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row)?)).collect()
    }

    /// The first row, if there is one.
    pub async fn row<T: DeserializeOwned>(&self, statement: Statement) -> Result<Option<T>, DatabaseError> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    async fn execute(&self, sql: &str, parameters: Vec<SqlParameter>) -> Result<Vec<String>, DatabaseError> {
        let call = self
            .client
            .execute_statement()
            .resource_arn(&self.cluster_arn)
            .secret_arn(&self.secret_arn)
            .database(&self.name)
            .sql(sql)
            .set_parameters(Some(parameters));
        // On the heap: the SDK's futures nest so deeply that a handler around them overflows the compiler's limits.
        let output = Box::pin(call.send()).await.map_err(|error| {
            let cause = DisplayErrorContext(&error).to_string();
            match error.into_service_error() {
                ExecuteStatementError::DatabaseErrorException(error) => {
                    rejected(error.message.unwrap_or_default())
                }
                error if is_refusal(&error) => DatabaseError::Refused(cause),
                _ => DatabaseError::Unavailable(cause),
            }
        })?;
        let first_column = |row: Vec<Field>| match row.into_iter().next() {
            Some(Field::StringValue(text)) => text,
            _ => "null".to_owned(),
        };
        Ok(output.records.unwrap_or_default().into_iter().map(first_column).collect())
    }
}

fn is_refusal(error: &ExecuteStatementError) -> bool {
    error.is_bad_request_exception()
        || error.is_forbidden_exception()
        || error.is_access_denied_exception()
        || error.is_database_not_found_exception()
        || error.is_unsupported_result_exception()
}

/// `ERROR: duplicate key …; SQLState: 23505`, as the Data API words it.
fn rejected(message: String) -> DatabaseError {
    let sqlstate = message.rsplit_once("SQLState: ").map(|(_, state)| state.chars().take(5).collect());
    let sqlstate: String = sqlstate.unwrap_or_default();
    // Class 08 connection, 40 rollback (deadlock, serialization), 53 resources, 57 shutdown: all pass by themselves.
    if ["08", "40", "53", "57"].iter().any(|class| sqlstate.starts_with(class)) {
        return DatabaseError::Unavailable(message);
    }
    DatabaseError::Rejected { sqlstate, message }
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
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violated_constraint_is_known_by_its_name() {
        let error = rejected(
            "ERROR: duplicate key value violates unique constraint \"users_email_key\"\n  Detail: …; SQLState: 23505"
                .into(),
        );
        assert!(error.violates("users_email_key"));
        assert!(!error.violates("users_email"));
    }

    #[test]
    fn a_deadlock_is_worth_another_try_and_a_syntax_error_is_not() {
        assert!(matches!(
            rejected("ERROR: deadlock detected; SQLState: 40P01".into()),
            DatabaseError::Unavailable(_)
        ));
        assert!(matches!(
            rejected("ERROR: syntax error; SQLState: 42601".into()),
            DatabaseError::Rejected { .. }
        ));
    }

    #[test]
    fn a_moment_is_bound_in_utc_to_the_microsecond() {
        let moment = "2026-02-21T14:31:00.123456789+02:00".parse::<Timestamp>().unwrap_or_default();
        assert_eq!(moment.field().0, Field::StringValue("2026-02-21 12:31:00.123456".into()));
    }
}
