//! The sessions' SQL: one statement each, the writes being functions of migration 0004. What was read or written of an
//! open session goes to the cache.

use chrono::{DateTime, TimeZone, Utc};
use serde::Deserialize;
use shared::{
    Cache, CorrelationId, Failure, MissingSetting, Outbox, Role, SessionId, Statement, Timestamp, User,
    UserId,
};

use crate::cached::Cached;
use crate::{CorrectedEnergy, ListRequest, MeterValue, Session, StartInput, Status, UpdateInput};

/// Where sessions are kept.
pub struct Stores {
    outbox: Outbox,
    cached: Cached,
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
    ConnectorReserved,
    ConnectorUnavailable,
    ChargerOffline,
    TooManySessions,
    IdempotencyKeyReused,
}

/// Why a session was not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Unended {
    StationNotControlled,
}

/// Why a session was not corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Uncorrected {
    NotBegun,
    AlreadyBilled,
    EndsBeforeStart,
}

/// A session as it is now, or why not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Written<R> {
    Session(Session),
    Refusal(R),
}

impl Stores {
    /// From the settings of [`Outbox::from_env`]; with the cache at `REDIS_URL` where a function is given one.
    pub async fn from_env() -> Result<Self, MissingSetting> {
        let config = shared::aws_config().await;
        Ok(Self::new(Outbox::from_env(&config)?, Cache::from_env().ok()))
    }

    /// Those behind this outbox, with or without a cache.
    pub fn new(outbox: Outbox, cache: Option<Cache>) -> Self {
        Self { outbox, cached: Cached::new(cache) }
    }

    /// An open session as the cache has it, whoever's it is.
    pub(crate) async fn cached(&self, id: SessionId) -> Option<Session> {
        self.cached.find(id).await
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
        let written = self.outbox.write(statement).await?.ok_or_else(no_row)?;
        Ok(self.through(written).await)
    }

    /// None when `driver` has no such session; `driver` is none for an operator.
    pub(crate) async fn end(
        &self,
        id: SessionId,
        driver: Option<UserId>,
        now: Timestamp,
    ) -> Result<Option<Result<Session, Unended>>, Failure> {
        let statement =
            Statement::new("SELECT * FROM end_session(:id::uuid, :driver::uuid, :now::timestamptz)");
        let statement = statement.bind("id", id).bind("driver", driver).bind("now", now);
        match self.outbox.write(statement).await? {
            Some(written) => Ok(Some(self.through(written).await)),
            None => Ok(None),
        }
    }

    /// None when there is no such session.
    pub(crate) async fn update(
        &self,
        input: &UpdateInput,
        operator: UserId,
        correlation_id: CorrelationId,
        now: Timestamp,
    ) -> Result<Option<Result<Session, Uncorrected>>, Failure> {
        let statement = Statement::new(
            "SELECT * FROM update_session(:id::uuid, :operator::uuid, :energy::numeric, :end::timestamptz,
                                          :reason::text, :correlation::uuid, :now::timestamptz)",
        )
        .bind("id", input.id)
        .bind("operator", operator)
        .bind("energy", input.energy.map(CorrectedEnergy::kwh))
        .bind("end", input.end_time)
        .bind("reason", input.reason.as_str())
        .bind("correlation", correlation_id)
        .bind("now", now);
        match self.outbox.write(statement).await? {
            Some(written) => Ok(Some(self.through(written).await)),
            None => Ok(None),
        }
    }

    /// Writes through what was written.
    async fn through<R>(&self, written: Written<R>) -> Result<Session, R> {
        match written {
            Written::Session(session) => {
                self.cached.put(&session).await;
                Ok(session)
            }
            Written::Refusal(refusal) => Err(refusal),
        }
    }

    pub(crate) async fn visible(&self, user: &User, id: SessionId) -> Result<Option<Session>, Failure> {
        let statement = Statement::read(
            "SELECT session_document(sessions) FROM sessions
             WHERE id = :id::uuid AND (user_id = :user::uuid OR :operator::boolean)",
        )
        .bind("id", id)
        .bind("user", user.id)
        .bind("operator", user.roles.contains(&Role::Operator));
        let session: Option<Session> = self.outbox.database().row(statement).await?;
        if let Some(open) = session.as_ref().filter(|session| !session.status.is_over()) {
            self.cached.put(open).await;
        }
        Ok(session)
    }

    pub(crate) async fn active(&self, driver: UserId) -> Result<Vec<Session>, Failure> {
        let statement = Statement::read(
            "SELECT session_document(sessions) FROM sessions
             WHERE user_id = :driver::uuid AND status IN ('STARTING', 'IN_PROGRESS', 'STOPPING')
             ORDER BY id DESC LIMIT 100",
        );
        Ok(self.outbox.database().rows(statement.bind("driver", driver)).await?)
    }

    pub(crate) async fn list(
        &self,
        driver: UserId,
        wanted: &ListRequest,
        before: Option<SessionId>,
        limit: i64,
    ) -> Result<Vec<Session>, Failure> {
        // An id has its time, give or take what passes until its session is written: it leads to the right partitions.
        let statement = Statement::read(
            "SELECT session_document(sessions) FROM sessions
             WHERE user_id = :driver::uuid AND (:status::text IS NULL OR status = :status::text)
                 AND (:station::uuid IS NULL OR station_id = :station::uuid)
                 AND id < COALESCE(:before::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                 AND id >= COALESCE(uuid_v7_floor(:from::timestamptz - interval '1 minute'),
                                    '00000000-0000-0000-0000-000000000000')
                 AND id < COALESCE(uuid_v7_floor(:to::timestamptz + interval '1 minute'),
                                   'ffffffff-ffff-ffff-ffff-ffffffffffff')
                 AND (:from::timestamptz IS NULL OR created_at >= :from::timestamptz)
                 AND (:to::timestamptz IS NULL OR created_at < :to::timestamptz)
             ORDER BY id DESC LIMIT :limit::bigint",
        )
        .bind("driver", driver)
        .bind("status", wanted.status.map(Status::name))
        .bind("station", wanted.station_id)
        .bind("before", before)
        .bind("from", wanted.from.map(in_range))
        .bind("to", wanted.to.map(in_range))
        .bind("limit", limit);
        Ok(self.outbox.database().rows(statement).await?)
    }

    /// None when there is no such session that `user` may see.
    pub(crate) async fn meter_values(
        &self,
        user: &User,
        session: SessionId,
        after: Option<Timestamp>,
        limit: i64,
    ) -> Result<Option<Vec<MeterValue>>, Failure> {
        let statement = Statement::read(
            "SELECT COALESCE((
                 SELECT jsonb_agg(jsonb_build_object(
                     'at', rfc3339(at), 'energyKWh', energy_kwh::text, 'powerKW', power_kw, 'soc', soc
                 ) ORDER BY at)
                 FROM (
                     SELECT at, energy_kwh, power_kw, soc FROM meter_values
                     WHERE session_id = sessions.id AND (:after::timestamptz IS NULL OR at > :after::timestamptz)
                     ORDER BY at LIMIT :limit::bigint
                 ) AS page
             ), '[]')
             FROM sessions
             WHERE id = :session::uuid AND (user_id = :user::uuid OR :operator::boolean)",
        )
        .bind("after", after.map(in_range))
        .bind("limit", limit)
        .bind("session", session)
        .bind("user", user.id)
        .bind("operator", user.roles.contains(&Role::Operator));
        Ok(self.outbox.database().row(statement).await?)
    }
}

/// No session is older or younger: moments that neither PostgreSQL nor UUIDs have are brought back to those they do.
fn in_range(moment: Timestamp) -> Timestamp {
    let year = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).earliest().unwrap_or(DateTime::UNIX_EPOCH);
    moment.clamp(year(2000), year(9999))
}

fn no_row() -> Failure {
    Failure::fault("a function that always answers gave no row")
}
