//! Chargers in Aurora: one statement each, the writes being functions of migrations 0005 and 0006.

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde::Deserialize;
use serde_json::Value;
use session::{Fact, Reported};
use shared::{
    BookingId, ChargerId, CorrelationId, Failure, MissingSetting, Outbox, SessionId, Statement, StationId,
    Timestamp, UserId,
};

use crate::{
    Boot, ChargePointId, Charger, Commanded, Expired, PasswordHash, Protocol, Records, Registered,
    Registration, Reservation, StatusReport,
};

/// What one statement of the expiry takes up. Its events come back in one row, of which the Data API takes no more than
/// 64 KB.
const EXPIRED_AT_ONCE: u32 = 50;
/// Statements in one run of the expiry.
const EXPIRY_ROUNDS: usize = 8;
/// After how many hours without a word a session is settled with what is known.
const SILENCE_HOURS: i64 = 24;

/// The chargers' side of the database.
pub struct Registry {
    outbox: Outbox,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Registering {
    Charger(Charger),
    Refusal(Refusal),
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Refusal {
    NoStation,
    ChargePointIdTaken,
}

impl Registry {
    /// From the settings of [`Outbox::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Outbox::from_env(config)?))
    }

    /// The chargers behind this outbox.
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox }
    }

    #[expect(clippy::too_many_arguments, reason = "each is one parameter of one statement")]
    pub(crate) async fn register(
        &self,
        charge_point_id: &ChargePointId,
        station: StationId,
        hash: &PasswordHash,
        connectors: Value,
        operator: UserId,
        correlation_id: CorrelationId,
        at: Timestamp,
    ) -> Result<Charger, Failure> {
        let statement = Statement::new(
            "SELECT register_charger(:id::uuid, :identity::text, :station::uuid, :hash::text, :connectors::jsonb,
                                     :operator::uuid, :correlation::uuid, :now::timestamptz)",
        )
        .bind("id", ChargerId::new())
        .bind("identity", charge_point_id.as_str())
        .bind("station", station)
        .bind("hash", hash.as_str())
        .bind("connectors", connectors)
        .bind("operator", operator)
        .bind("correlation", correlation_id)
        .bind("now", at);
        let registering = self.outbox.write(statement).await?;
        match registering.ok_or_else(|| Failure::fault("a registration without an answer"))? {
            Registering::Charger(charger) => Ok(charger),
            Registering::Refusal(Refusal::NoStation) => Err(Failure::NotFound("station")),
            Registering::Refusal(Refusal::ChargePointIdTaken) => {
                Err(Failure::conflict("CHARGE_POINT_ID_TAKEN", "another charger has this identity"))
            }
        }
    }
}

#[async_trait(?Send)]
impl Records for Registry {
    async fn find(&self, id: &ChargePointId) -> Result<Option<Registered>, Failure> {
        let statement = Statement::read(
            "SELECT jsonb_build_object('id', id, 'passwordHash', password_hash, 'registration', registration)
             FROM chargers WHERE charge_point_id = :identity::text",
        );
        Ok(self.outbox.database().row(statement.bind("identity", id.as_str())).await?)
    }

    async fn connected(
        &self,
        charger: ChargerId,
        connection: &str,
        protocol: Protocol,
        at: Timestamp,
    ) -> Result<(), Failure> {
        let statement = Statement::new(
            "SELECT charger_connected(:charger::uuid, :socket::text, :protocol::text, :correlation::uuid,
                                      :now::timestamptz)",
        )
        .bind("charger", charger)
        .bind("socket", connection)
        .bind("protocol", protocol.subprotocol())
        .bind("correlation", CorrelationId::new())
        .bind("now", at);
        self.outbox.write::<bool>(statement).await?;
        Ok(())
    }

    async fn disconnected(&self, charger: ChargerId, connection: &str, at: Timestamp) -> Result<(), Failure> {
        let statement = Statement::new(
            "SELECT * FROM charger_disconnected(:charger::uuid, :socket::text, :correlation::uuid,
                                                :now::timestamptz)",
        )
        .bind("charger", charger)
        .bind("socket", connection)
        .bind("correlation", CorrelationId::new())
        .bind("now", at);
        self.outbox.write::<bool>(statement).await?;
        Ok(())
    }

    async fn booted(&self, charger: ChargerId, boot: &Boot, at: Timestamp) -> Result<Registration, Failure> {
        let statement = Statement::new(
            "UPDATE chargers
             SET vendor = :vendor::text, model = :model::text, serial_number = :serial::text,
                 firmware = :firmware::text, booted_at = :now::timestamptz, last_seen_at = :now::timestamptz
             WHERE id = :charger::uuid
             RETURNING to_jsonb(registration)",
        )
        .bind("vendor", boot.vendor.as_str())
        .bind("model", boot.model.as_str())
        .bind("serial", boot.serial_number.as_deref())
        .bind("firmware", boot.firmware.as_deref())
        .bind("charger", charger)
        .bind("now", at)
        .repeatable();
        // A charger that was removed meanwhile takes no part any more.
        Ok(self.outbox.database().row(statement).await?.unwrap_or(Registration::Rejected))
    }

    async fn seen(&self, charger: ChargerId, at: Timestamp) -> Result<(), Failure> {
        let statement = Statement::new(
            "UPDATE chargers SET last_seen_at = GREATEST(last_seen_at, :now::timestamptz)
             WHERE id = :charger::uuid",
        );
        let statement = statement.bind("now", at).bind("charger", charger).repeatable();
        self.outbox.database().rows::<Value>(statement).await?;
        Ok(())
    }

    async fn tag_is_known(&self, charger: ChargerId, id_tag: &str, at: Timestamp) -> Result<bool, Failure> {
        let statement = Statement::new(
            "WITH seen AS (
                 UPDATE chargers SET last_seen_at = GREATEST(last_seen_at, :now::timestamptz)
                 WHERE id = :charger::uuid
             )
             SELECT to_jsonb(tag_is_known(:tag::text))",
        );
        let statement = statement.bind("now", at).bind("charger", charger).bind("tag", id_tag);
        Ok(self.outbox.database().row(statement.repeatable()).await?.unwrap_or(false))
    }

    async fn status(
        &self,
        charger: ChargerId,
        report: &StatusReport,
        correlation_id: CorrelationId,
        at: Timestamp,
    ) -> Result<bool, Failure> {
        let status = serde_json::to_value(report.status).map_err(Failure::fault)?;
        let statement = Statement::new(
            "SELECT report_status(:charger::uuid, :number::integer, :status::jsonb #>> '{}', :error::text,
                                  :at::timestamptz, :correlation::uuid, :now::timestamptz)",
        )
        .bind("charger", charger)
        .bind("number", i64::from(report.connector_number))
        .bind("status", status)
        .bind("error", report.error_code.as_deref())
        .bind("at", report.at)
        .bind("correlation", correlation_id)
        .bind("now", at)
        .repeatable();
        Ok(self.outbox.write(statement).await?.unwrap_or(false))
    }

    async fn report(
        &self,
        charger: ChargerId,
        fact: &Fact,
        correlation_id: CorrelationId,
        at: Timestamp,
    ) -> Result<Reported, Failure> {
        session::report(&self.outbox, charger, fact, correlation_id, at).await
    }

    async fn commanded(&self, session: SessionId, at: Timestamp) -> Result<Option<Commanded>, Failure> {
        let statement = Statement::read(
            "SELECT jsonb_build_object(
                 'status', sessions.status,
                 'chargePointId', chargers.charge_point_id,
                 'protocol', chargers.protocol,
                 'online', charger_is_online(chargers, :now::timestamptz),
                 'connectorNumber', connectors.connector_number,
                 'idTag', users.id_tag,
                 'remoteStartId', sessions.remote_start_id,
                 'transactionId', transactions.transaction_id
             )
             FROM sessions
                 JOIN users ON users.id = sessions.user_id
                 JOIN connectors ON connectors.id = sessions.connector_id
                 JOIN chargers ON chargers.id = connectors.charger_id
                 LEFT JOIN transactions ON transactions.session_id = sessions.id
             WHERE sessions.id = :session::uuid",
        );
        let statement = statement.bind("now", at).bind("session", session);
        Ok(self.outbox.database().row(statement).await?)
    }

    async fn reservation(&self, booking: BookingId, at: Timestamp) -> Result<Option<Reservation>, Failure> {
        let statement = Statement::read(
            "SELECT jsonb_build_object(
                 'need', CASE
                     WHEN bookings.end_ts <= :now::timestamptz THEN NULL
                     -- A driver who is here already needs no reservation.
                     WHEN bookings.status = 'CONFIRMED' THEN CASE WHEN NOT EXISTS (
                         SELECT FROM open_sessions
                         WHERE connector_id = bookings.connector_id AND user_id = bookings.user_id
                     ) THEN 'RESERVE' END
                     WHEN bookings.status IN ('CANCELLED', 'NO_SHOW', 'COMPLETED') AND bookings.reserved_at IS NOT NULL
                     THEN 'RELEASE'
                 END,
                 'chargePointId', chargers.charge_point_id,
                 'protocol', chargers.protocol,
                 'online', charger_is_online(chargers, :now::timestamptz),
                 'connectorNumber', connectors.connector_number,
                 'idTag', users.id_tag,
                 'reservationId', bookings.reservation_id,
                 'endsAt', rfc3339(bookings.end_ts)
             )
             FROM bookings
                 JOIN users ON users.id = bookings.user_id
                 JOIN connectors ON connectors.id = bookings.connector_id
                 JOIN chargers ON chargers.id = connectors.charger_id
             WHERE bookings.id = :booking::uuid",
        );
        let statement = statement.bind("now", at).bind("booking", booking);
        Ok(self.outbox.database().row(statement).await?)
    }

    async fn fail(&self, session: SessionId, reason: &'static str, at: Timestamp) -> Result<(), Failure> {
        let statement =
            Statement::new("SELECT * FROM fail_session(:session::uuid, :reason::text, :now::timestamptz)");
        let statement = statement.bind("session", session).bind("reason", reason).bind("now", at);
        self.outbox.write::<bool>(statement.repeatable()).await?;
        Ok(())
    }

    async fn expire(&self, at: Timestamp) -> Result<Expired, Failure> {
        let mut expired = Expired::default();
        for _ in 0..EXPIRY_ROUNDS {
            let statement = Statement::new(
                "SELECT expire_sessions(:most::integer, make_interval(hours => :silence::integer), :correlation::uuid,
                                        :now::timestamptz)",
            );
            let statement = statement
                .bind("most", i64::from(EXPIRED_AT_ONCE))
                .bind("silence", SILENCE_HOURS)
                .bind("correlation", CorrelationId::new())
                .bind("now", at);
            let round: Expired = self.outbox.write(statement).await?.unwrap_or_default();
            expired.failed += round.failed;
            expired.settled += round.settled;
            expired.asked_again += round.asked_again;
            expired.disconnected += round.disconnected;
            if round.failed + round.settled + round.asked_again + round.disconnected < EXPIRED_AT_ONCE {
                break;
            }
        }
        Ok(expired)
    }
}
