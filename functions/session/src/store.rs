//! The sessions' SQL: one statement each, the writes being functions of migration 0004.

use serde::Deserialize;
use shared::{
    CorrelationId, Failure, MissingSetting, Outbox, Role, SessionId, Statement, Timestamp, User, UserId,
};

use crate::{Session, StartInput, Status};

/// Where sessions are kept.
pub struct Stores {
    outbox: Outbox,
}

/// Why a session was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Refusal {
    NoUser,
    NoStation,
    NoConnector,
    StationNotControlled,
    ConnectorBusy,
    ConnectorUnavailable,
    ChargerOffline,
    TooManySessions,
    IdempotencyKeyReused,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Started {
    Session(Session),
    Refusal(Refusal),
}

impl Stores {
    /// From the settings of [`Outbox::from_env`].
    pub async fn from_env() -> Result<Self, MissingSetting> {
        let config = shared::aws_config().await;
        Ok(Self::new(Outbox::from_env(&config)?))
    }

    /// Those behind this outbox.
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox }
    }

    pub(crate) async fn start(
        &self,
        id: SessionId,
        driver: UserId,
        input: &StartInput,
        correlation_id: CorrelationId,
        now: Timestamp,
    ) -> Result<Result<Session, Refusal>, Failure> {
        let asked = serde_json::to_value(input).map_err(Failure::fault)?;
        let statement = Statement::new(
            "SELECT start_session(:id::uuid, :driver::uuid, :station::uuid, :connector::uuid, :key::text,
                                  :asked::jsonb, :correlation::uuid, :now::timestamptz)",
        )
        .bind("id", id)
        .bind("driver", driver)
        .bind("station", input.station_id)
        .bind("connector", input.connector_id)
        .bind("key", input.idempotency_key.as_ref().map(|key| key.as_str()))
        .bind("asked", asked)
        .bind("correlation", correlation_id)
        .bind("now", now);
        match self.outbox.write(statement).await?.ok_or_else(no_row)? {
            Started::Session(session) => Ok(Ok(session)),
            Started::Refusal(refusal) => Ok(Err(refusal)),
        }
    }

    /// None when `driver` has no such session; `driver` is none for an operator.
    pub(crate) async fn end(
        &self,
        id: SessionId,
        driver: Option<UserId>,
        now: Timestamp,
    ) -> Result<Option<Session>, Failure> {
        let statement =
            Statement::new("SELECT * FROM end_session(:id::uuid, :driver::uuid, :now::timestamptz)");
        let statement = statement.bind("id", id).bind("driver", driver).bind("now", now);
        Ok(self.outbox.write(statement).await?)
    }

    pub(crate) async fn visible(&self, user: &User, id: SessionId) -> Result<Option<Session>, Failure> {
        let statement = Statement::new(
            "SELECT session_document(sessions) FROM sessions
             WHERE id = :id::uuid AND (user_id = :user::uuid OR :operator::boolean)",
        )
        .bind("id", id)
        .bind("user", user.id)
        .bind("operator", user.roles.contains(&Role::Operator));
        Ok(self.outbox.database().row(statement).await?)
    }

    pub(crate) async fn list(
        &self,
        driver: UserId,
        status: Option<Status>,
        before: Option<SessionId>,
        limit: i64,
    ) -> Result<Vec<Session>, Failure> {
        let statement = Statement::new(
            "SELECT session_document(sessions) FROM sessions
             WHERE user_id = :driver::uuid AND (:status::text IS NULL OR status = :status::text)
                 AND (:before::uuid IS NULL OR id < :before::uuid)
             ORDER BY id DESC LIMIT :limit::bigint",
        )
        .bind("driver", driver)
        .bind("status", status.map(Status::name))
        .bind("before", before)
        .bind("limit", limit);
        Ok(self.outbox.database().rows(statement).await?)
    }
}

fn no_row() -> Failure {
    Failure::fault("a function that always answers gave no row")
}
