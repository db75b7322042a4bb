//! The dead letters of `process-vendor-report`: those that had to die, and others.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::story::Fact;
use crate::prove::database::Database;
use crate::prove::network::Network;
use crate::prove::queues::Queue;
use crate::stack::Stack;
use crate::{Result, wait};

/// What no consumer could take.
pub(super) struct Dead<'a> {
    pub(super) stack: &'a Stack,
    pub(super) database: &'a Database,
    pub(super) queue: Queue,
    pub(super) networks: &'a [Network],
}

impl Dead<'_> {
    /// The ids of letters that are none of `poison`.
    pub(super) async fn innocent(&self, poison: &[Fact]) -> Result<Vec<String>> {
        let poison: BTreeSet<_> = poison.iter().map(|fact| key(fact, self.networks)).collect();
        let letters = self.letters().await?.into_iter();
        Ok(letters.filter(|(_, key)| !poison.contains(key)).map(|(id, _)| id).collect())
    }

    /// Fails unless each of `poison`, and nothing else, is dead; gives how many letters there are.
    pub(super) async fn only(&self, poison: &[Fact]) -> Result<usize> {
        let poison: BTreeSet<_> = poison.iter().map(|fact| key(fact, self.networks)).collect();
        let letters = self.letters().await?;
        let dead: BTreeSet<_> = letters.iter().map(|(_, key)| key.clone()).collect();
        match dead.symmetric_difference(&poison).next() {
            None => Ok(letters.len()),
            Some(one) => Err(format!("{one} is dead and was not poisoned, or the other way round").into()),
        }
    }

    /// Every letter's id, and what it is of.
    async fn letters(&self) -> Result<Vec<(String, String)>> {
        wait::until("the dead letters to be gathered", Duration::from_secs(60), async || {
            // One that runs already does as well.
            let _ = self.stack.invoke("reconcile-dlq", &json!({})).await;
            Ok((self.queue.depth().await? == 0).then_some(()))
        })
        .await?;
        let query = "SELECT id::text, consumer, body FROM dead_letters WHERE status = 'OPEN'";
        let rows = self.database.rows(query).await?;
        let letter = |row: &tokio_postgres::Row| {
            let (id, consumer, body): (String, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let told: Value = serde_json::from_str(&body).unwrap_or_default();
            let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
            Ok((id, format!("{consumer} {} {}", text("vendorId"), text("webhookId"))))
        };
        rows.iter().map(letter).collect()
    }
}

/// As a dead letter of it is called here.
fn key(fact: &Fact, networks: &[Network]) -> String {
    format!("process-vendor-report {} {}", networks[fact.network].id, fact.webhook.id)
}
