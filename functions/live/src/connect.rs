//! `$connect`: who dials in.

use aws_config::SdkConfig;
use chrono::TimeDelta;
use futures::future::join_all;
use shared::{CorrelationId, Failure, MissingSetting, Timestamp};
use tracing::{info, warn};
use user::AccessTokenVerifier;

use crate::store::{Held, Sighting};
use crate::{Connection, Greeting, Greetings, LiveTable, SocketAnswer, SocketEvent, Sockets};

/// Sockets that one user may have open.
pub const MOST_CONNECTIONS: u8 = 10;

/// API Gateway knows a socket only once its `$connect` has been answered: one so new is not gone, but not there yet.
pub(crate) const SETTLING: TimeDelta = TimeDelta::seconds(10);

/// What admits a socket.
pub struct Door {
    verifier: AccessTokenVerifier,
    table: LiveTable,
    sockets: Sockets,
    greetings: Greetings,
}

impl Door {
    /// From the settings of each; connects at first use.
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(
            AccessTokenVerifier::from_env(config)?,
            LiveTable::from_env(config)?,
            Sockets::from_env(config)?,
            Greetings::from_env(config)?,
        ))
    }

    /// Of its parts.
    pub fn new(
        verifier: AccessTokenVerifier,
        table: LiveTable,
        sockets: Sockets,
        greetings: Greetings,
    ) -> Self {
        Self { verifier, table, sockets, greetings }
    }

    /// Admits a socket with a good access token, which is not asked for again while the socket is open, and has it
    /// greeted. Refuses any other with 401, and a user's eleventh with 429.
    pub async fn connect(&self, event: &SocketEvent, at: Timestamp) -> Result<SocketAnswer, Failure> {
        let Some(token) = event.token() else {
            return Ok(unauthenticated("no token"));
        };
        let user = match Box::pin(self.verifier.verify(token, at)).await? {
            Ok(verified) => verified.user,
            Err(rejected) => return Ok(unauthenticated(&rejected.to_string())),
        };
        let connection = Connection { id: event.socket(), user, connected_at: event.connected_at() };
        if !Box::pin(self.admit(&connection, at)).await? {
            warn!(status = 429, "connection refused: the user has too many");
            return Ok(SocketAnswer::status(429).with_header("Retry-After", "60"));
        }
        let correlation_id = CorrelationId::new();
        let greeting =
            Greeting { socket_id: connection.id.clone(), timestamp: connection.connected_at, correlation_id };
        if let Err(failure) = self.greetings.send(&greeting).await {
            // The handshake fails: there will be no $disconnect.
            self.table.close(&connection.id).await?;
            return Err(failure);
        }
        info!(%correlation_id, "connected");
        Ok(SocketAnswer::status(200))
    }

    /// Whether the user has a place left. Places of sockets that ended without a word are taken back first.
    async fn admit(&self, connection: &Connection, at: Timestamp) -> Result<bool, Failure> {
        for _ in 0..2 {
            let (free, held) = self.table.places(connection.user, at).await?;
            for place in free {
                // Another handshake may have taken it since.
                if self.table.take(place, connection, at).await? {
                    self.table.open(connection, place).await?;
                    return Ok(true);
                }
            }
            let settled = held.into_iter().filter(|held| held.connected_at + SETTLING < at);
            let looks = settled.map(async |held: Held| {
                let sighting = self.sockets.look(&held.socket).await;
                matches!(sighting, Ok(Sighting::Gone)).then_some(held)
            });
            let gone: Vec<_> = join_all(looks).await.into_iter().flatten().collect();
            if gone.is_empty() {
                break;
            }
            for held in gone {
                self.table.close(&held.socket).await?;
                self.table.leave(connection.user, held.place, &held.socket).await?;
            }
        }
        Ok(false)
    }
}

fn unauthenticated(reason: &str) -> SocketAnswer {
    info!(status = 401, reason, "connection refused");
    SocketAnswer::status(401).with_header("WWW-Authenticate", "Bearer")
}
