//! Who reports the statuses: a charging network by webhook and chargers by OCPP, some waiting until everybody has heard
//! one report before the next, the others as fast as they can.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::board::Board;
use crate::ocpp_socket::OcppSocket;
use crate::prove::Size;
use crate::prove::dice::Dice;
use crate::prove::network::{Hook, Network, Webhook};
use crate::stack::Stack;
use crate::{Result, wait};

/// Networks' words, which are the feed's.
const WORDS: [&str; 6] = ["AVAILABLE", "OCCUPIED", "RESERVED", "MAINTENANCE", "OFFLINE", "FAULTED"];
/// OCPP's, and the feed's for them.
const OCPP_WORDS: [(&str, &str); 8] = [
    ("Available", "AVAILABLE"),
    ("Preparing", "OCCUPIED"),
    ("Charging", "OCCUPIED"),
    ("SuspendedEV", "OCCUPIED"),
    ("Finishing", "OCCUPIED"),
    ("Reserved", "RESERVED"),
    ("Unavailable", "MAINTENANCE"),
    ("Faulted", "FAULTED"),
];
/// Of a network's reports, this share is followed by one that is older.
const LATE: f64 = 0.3;

/// A connector that somebody reports of.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) station: Uuid,
    pub(super) id: Uuid,
    pub(super) by: Reporter,
    /// Whether the next report waits until all have heard this one.
    pub(super) is_paced: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Reporter {
    /// Which of the station's connectors it is.
    Network(usize),
    /// What the charger dials in as.
    Charger(String),
}

/// What reporters share.
pub(super) struct Reports<'a> {
    pub(super) stack: &'a Stack,
    pub(super) network: Network,
    pub(super) board: Arc<Board>,
    /// How many steady clients a station has.
    pub(super) steady: HashMap<Uuid, usize>,
    pub(super) dice: &'a Dice,
    pub(super) size: Size,
    /// Of each connector.
    pub(super) count: usize,
}

impl Reports<'_> {
    /// Reports of one connector, and gives it with the word of the newest.
    pub(super) async fn of(&self, connector: &Connector) -> Result<(Uuid, &'static str)> {
        let last = match &connector.by {
            Reporter::Network(number) => self.by_network(connector, *number).await,
            Reporter::Charger(identity) => self.by_charger(connector, identity).await,
        };
        Ok((connector.id, last?))
    }

    /// Reports of every station once more, after all that was reported: of these connectors, by their last words.
    pub(super) async fn once_more(
        &self,
        connectors: &[Connector],
        last: &HashMap<Uuid, &'static str>,
    ) -> Result<()> {
        let at = Utc::now() + TimeDelta::minutes(1);
        for connector in connectors {
            let Reporter::Network(number) = connector.by else { continue };
            let word = if last.get(&connector.id) == Some(&WORDS[0]) { WORDS[5] } else { WORDS[0] };
            self.post(connector, number, word, at).await?;
        }
        Ok(())
    }

    async fn by_network(&self, connector: &Connector, number: usize) -> Result<&'static str> {
        let (mut last, mut at) = (WORDS[4], Utc::now());
        for _ in 0..self.count {
            let others: Vec<_> = WORDS.into_iter().filter(|word| *word != last).collect();
            (last, at) = (self.dice.one_of(&others), next(at));
            self.post(connector, number, last, at).await?;
            self.wait(connector, at).await?;
            if self.dice.chance(LATE) {
                self.post(connector, number, self.dice.one_of(&others), at - TimeDelta::seconds(1)).await?;
            }
        }
        Ok(last)
    }

    async fn post(&self, connector: &Connector, number: usize, word: &str, at: DateTime<Utc>) -> Result<()> {
        let Connector { station, id, .. } = connector;
        let webhook = Webhook {
            hook: Hook::Status,
            id: Uuid::new_v4().to_string(),
            at,
            body: json!({
                "stationId": station, "connectorId": id, "vendorConnectorId": Network::name_of(*station, number),
                "status": word, "metadata": {},
            }),
        };
        let delivery = self.network.sign(&webhook, &self.network.secret)?;
        let _turn = self.board.turn().await?;
        wait::until("a webhook to be taken", self.size.patience(), async || {
            let answer = delivery.post(self.stack).await?;
            match answer.status {
                202 => Ok(Some(())),
                _ if answer.is_to_come_again() => Ok(None),
                _ => Err(format!("a status was not taken: {answer:?}").into()),
            }
        })
        .await
    }

    async fn by_charger(&self, connector: &Connector, identity: &str) -> Result<&'static str> {
        let mut charger = self.boot(identity).await?;
        let (mut last, mut at) = (("Unknown", "OFFLINE"), Utc::now());
        for _ in 0..self.count {
            let others: Vec<_> = OCPP_WORDS.into_iter().filter(|word| *word != last).collect();
            (last, at) = (self.dice.one_of(&others), next(at));
            let status = json!({
                "connectorId": 1, "errorCode": "NoError", "status": last.0,
                "timestamp": at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            });
            let turn = self.board.turn().await?;
            charger.call("StatusNotification", status).await?;
            drop(turn);
            self.wait(connector, at).await?;
        }
        Ok(last.1)
    }

    async fn boot(&self, identity: &str) -> Result<OcppSocket> {
        let _turn = self.board.turn().await?;
        let mut charger = OcppSocket::connect(self.stack, identity, "ocpp1.6").await?;
        let boot = json!({ "chargePointVendor": "Proof", "chargePointModel": "One" });
        let answer: Value = charger.call("BootNotification", boot).await?;
        if answer["status"] == "Accepted" {
            Ok(charger)
        } else {
            Err(format!("{identity} may not boot: {answer}").into())
        }
    }

    async fn wait(&self, connector: &Connector, at: DateTime<Utc>) -> Result<()> {
        if connector.is_paced {
            self.heard(connector, at.timestamp()).await?;
            self.board.one_was_heard_out();
        }
        Ok(())
    }

    /// Waits until every steady client of its station has heard of the change.
    pub(super) async fn heard(&self, connector: &Connector, updated_at: i64) -> Result<()> {
        let due = self.steady.get(&connector.station).copied().unwrap_or_default();
        let what = format!("{due} to hear what changed at {updated_at}, {connector:?}");
        wait::until(&what, self.size.patience(), async || {
            Ok((self.board.heard_by(connector.id, updated_at) >= due).then_some(()))
        })
        .await
    }
}

/// The next report's time, a whole second of its own with room for a late one before it.
fn next(at: DateTime<Utc>) -> DateTime<Utc> {
    let next = (at + TimeDelta::seconds(2)).max(Utc::now());
    next.duration_trunc(TimeDelta::seconds(1)).unwrap_or(next)
}
