//! How webhooks are posted: the true ones with any key of their network's until they are taken, the others once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::forge;
use super::story::Fact;
use crate::accounts::Account;
use crate::prove::Size;
use crate::prove::dice::Dice;
use crate::prove::network::Network;
use crate::stack::Stack;
use crate::{Result, wait};

/// Deliveries at a time.
const AT_ONCE: usize = 12;
/// How long a new key may be unknown to a function that has just read the others.
const KEY_KNOWN_WITHIN: Duration = Duration::from_secs(15);

/// One delivery.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Truly(Fact),
    /// In which way.
    Forged(Fact, usize),
}

/// What a network signs with.
pub(super) struct Keys(Mutex<Vec<(String, Instant)>>);

impl Keys {
    pub(super) fn of(network: &Network) -> Self {
        Self(Mutex::new(vec![(network.secret.clone(), Instant::now())]))
    }

    fn add(&self, secret: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((secret, Instant::now()));
    }

    /// One of them, and since when there is that.
    fn any(&self, dice: &Dice) -> (String, Instant) {
        dice.one_of(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Who posts webhooks.
pub(super) struct Post<'a> {
    pub(super) stack: &'a Stack,
    pub(super) size: Size,
    pub(super) dice: &'a Dice,
    pub(super) networks: &'a [Network],
    pub(super) keys: Vec<Keys>,
}

impl Post<'_> {
    pub(super) async fn all(&self, deliveries: &[Told]) -> Result<()> {
        let posts = deliveries.iter().map(async |told| match told {
            Told::Truly(fact) => self.truly(fact).await,
            Told::Forged(fact, way) => self.forged(fact, *way).await,
        });
        stream::iter(posts).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// As networks do: again, until it is taken.
    pub(super) async fn truly(&self, fact: &Fact) -> Result<()> {
        let (network, (secret, since)) =
            (&self.networks[fact.network], self.keys[fact.network].any(self.dice));
        let delivery = network.sign(&fact.webhook, &secret)?;
        wait::until("a webhook to be taken", self.size.patience(), async || {
            let answer = delivery.post(self.stack).await?;
            let is_of_new_key = secret != network.secret && since.elapsed() < KEY_KNOWN_WITHIN;
            match answer.status {
                202 if answer.body == json!({ "success": true, "data": { "accepted": true } }) => {
                    Ok(Some(()))
                }
                401 if is_of_new_key => Ok(None),
                _ if answer.is_to_come_again() => Ok(None),
                _ => Err(format!("{fact:?} was not taken: {answer:?}").into()),
            }
        })
        .await
    }

    async fn forged(&self, fact: &Fact, way: usize) -> Result<()> {
        let (network, other) =
            (&self.networks[fact.network], &self.networks[(fact.network + 1) % self.networks.len()]);
        let (delivery, status) = forge::forge(fact, network, other, &network.secret, way)?;
        wait::until("a forged webhook to be refused", self.size.patience(), async || {
            let answer = delivery.post(self.stack).await?;
            if answer.is_to_come_again() {
                return Ok(None);
            }
            let refused = forge::check(&answer, status);
            refused
                .map(Some)
                .map_err(|error| format!("{fact:?}, in way {}: {error}", way % forge::WAYS).into())
        })
        .await
    }

    /// Gives every network another key, beside the one it has.
    pub(super) async fn rotate(&self, operator: &Account) -> Result<()> {
        for (network, keys) in self.networks.iter().zip(&self.keys) {
            keys.add(network.rotate(operator).await?);
        }
        Ok(())
    }
}
