//! Ten thousand ended sessions, each told one to three times in any order, while `bill-session` is killed between any
//! two of its steps and database and bus fail: everybody pays once, to the cent.

mod check;
mod turmoil;
pub(super) mod world;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::database::Database;
use super::dice::Dice;
use super::place::{Needs, OwnStack, Place};
use super::queues::{Queue, Queues};
use super::{Proof, Size};
use crate::accounts::Account;
use crate::stack::Stack;
use crate::{Result, wait};
use turmoil::Turmoil;
use world::World;

/// After this, a message whose consumer was killed comes again. Three minutes are the template's: shorter, so that the
/// proof ends, but longer than a batch takes, so that a receive is only lost with its consumer.
const HIDDEN_SECONDS: (u32, u32) = (12, 30);

/// Kills, losses and repeats beyond counting, and the books are right.
pub(super) async fn run(size: Size, place: &Place, seed: u64) -> Result<Proof> {
    let needs = Needs { faults: true, ..Needs::default() };
    place.prove("billing", needs, async |own| prove(size, own, &Arc::new(Dice::new(seed))).await).await
}

async fn prove(size: Size, own: &OwnStack, dice: &Arc<Dice>) -> Result<Proof> {
    let (sessions, kills, poisons) = (size.of(300, 10_000), size.of(15, 200), size.of(7, 35));
    let (stack, faults) = (&own.stack, own.faults()?);
    let database = Database::of(stack).await?;
    let world = World::new(dice, sessions);
    world.write(&database).await?;
    let queues = Queues::of(stack).await;
    let queue = queues.queue(stack, "BillSessionQueue")?;
    queue.hide_for(size.of(HIDDEN_SECONDS.0, HIDDEN_SECONDS.1)).await?;
    // The poll that is under way hides what it gets for as long as was said when it began: it gets this.
    queue.send(&[world.told(&world.sessions[0], dice)]).await?;
    empty(&queue, size).await?;

    let poison: Vec<String> = (0..poisons).map(|number| world::poisoned(&world, number)).collect();
    let mut deliveries = poison.clone();
    for session in &world.sessions {
        deliveries.extend((0..=dice.below(3)).map(|_| world.told(session, dice)));
    }
    dice.shuffle(&mut deliveries);

    // Most messages take two to four calls; the kills are to be over before the queue is.
    let share = kills as f64 / (size.of(0.5, 1.2) * deliveries.len() as f64);
    let turmoil = Turmoil::new(dice, kills, share, size.of(0.05, 0.015));
    let plan = Arc::clone(&turmoil);
    faults.follow(move |call| plan.fate(call));
    queue.send(&deliveries).await?;
    empty(&queue, size).await?;

    // Late repeats, until enough consumers have died.
    let mut repeats = 0;
    while faults.kills() < kills {
        let told: Vec<_> = (0..50).map(|_| world.told(&dice.one_of(&world.sessions), dice)).collect();
        repeats += told.len();
        turmoil.more(kills - faults.kills(), 0.1);
        queue.send(&told).await?;
        empty(&queue, size).await?;
    }
    faults.calm();
    queue.hide_for(1).await?;
    empty(&queue, size).await?;

    let dead =
        Dead { stack, database: &database, dead_letters: queues.queue(stack, "BillSessionDeadLetters")? };
    let settle =
        "UPDATE sessions SET status = 'COMPLETED', reason = 'told too early' WHERE status = 'STOPPING'";
    database.rows(settle).await?;
    let operator = Account::operator(stack).await?;
    let (mut replayed, mut early) = (0, 0);
    // What was told too early, and whatever died with its consumers more often than the queue allows.
    for _ in 0..5 {
        let innocent = dead.innocent(&poison).await?;
        if innocent.is_empty() {
            break;
        }
        early += dead.early(&innocent).await?;
        replayed += innocent.len();
        replay(&operator, &innocent).await?;
        empty(&queue, size).await?;
    }
    let left = dead.bodies().await?;
    if left.len() != poison.len() || !dead.innocent(&poison).await?.is_empty() {
        return Err(
            format!("{} poisoned messages, and {} dead ones: {left:?}", poison.len(), left.len()).into()
        );
    }
    published(stack, &database, size).await?;
    check::books(&database, &world).await?;

    let done = faults.done();
    let of = |what: &str| done.get(what).copied().unwrap_or_default();
    Ok(Proof {
        name: "billing",
        figure: format!(
            "{sessions} sessions told {} times, {} kills, {} refusals, {} lost answers: one invoice each, {} wallets to \
             the cent, no gap, {} dead letters, all poisoned ({replayed} others replayed, {early} of them told too early)",
            1 + deliveries.len() + repeats - poison.len(),
            faults.kills(),
            of("refusals") + of("throttles"),
            of("lost answers"),
            world.drivers.len(),
            left.len(),
        ),
    })
}

/// Waits until the queue holds nothing, not even hidden.
pub(super) async fn empty(queue: &Queue, size: Size) -> Result<()> {
    wait::until("the queue to be empty", size.patience(), async || {
        Ok((queue.depth().await? == 0).then_some(()))
    })
    .await
}

/// Waits until the relay has published everything.
pub(super) async fn published(stack: &Stack, database: &Database, size: Size) -> Result<()> {
    wait::until("the outbox to be published", size.patience(), async || {
        // One that runs already does as well.
        let _ = stack.invoke("relay-outbox", &json!({})).await;
        let waiting = database.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await?;
        Ok((waiting == 0).then_some(()))
    })
    .await
}

/// The dead letters of `bill-session`.
struct Dead<'a> {
    stack: &'a Stack,
    database: &'a Database,
    dead_letters: Queue,
}

impl Dead<'_> {
    /// Every message that is dead now.
    async fn bodies(&self) -> Result<Vec<String>> {
        self.gather().await?;
        self.database.texts("SELECT body FROM dead_letters WHERE status = 'OPEN'").await
    }

    /// The ids of those that are none of `poison`.
    async fn innocent(&self, poison: &[String]) -> Result<Vec<String>> {
        self.gather().await?;
        let query = "SELECT id::text FROM dead_letters
                     WHERE status = 'OPEN' AND body NOT IN (SELECT jsonb_array_elements_text($1::jsonb))";
        let rows = self.database.with(query, &json!(poison)).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// How many of these were told too early.
    async fn early(&self, ids: &[String]) -> Result<i64> {
        let query = "SELECT count(*) FROM dead_letters JOIN sessions ON body LIKE '%' || sessions.id || '%'
                     WHERE sessions.reason = 'told too early'
                         AND dead_letters.id IN (SELECT value::uuid FROM jsonb_array_elements_text($1::jsonb))";
        Ok(self.database.with(query, &json!(ids)).await?.first().ok_or("no row")?.try_get(0)?)
    }

    /// Has them taken out of their queue.
    async fn gather(&self) -> Result<()> {
        wait::until("the dead letters to be gathered", Duration::from_secs(60), async || {
            let _ = self.stack.invoke("reconcile-dlq", &json!({})).await;
            Ok((self.dead_letters.depth().await? == 0).then_some(()))
        })
        .await
    }
}

/// Has an operator send these dead letters again.
pub(super) async fn replay(operator: &Account, ids: &[String]) -> Result<()> {
    let query = "mutation($input: ReplayDeadLettersInput!) { replayDeadLetters(input: $input) { replayed remaining } }";
    let mut left: Vec<&String> = ids.iter().collect();
    while !left.is_empty() {
        let some: Vec<_> = left.drain(..left.len().min(100)).collect();
        let input = json!({
            "filter": { "ids": some }, "dryRun": false, "rate": 100, "limit": 100, "reason": "told too early",
        });
        let report: Value = operator.client.field(query, json!({ "input": input })).await?;
        if report["replayed"] != json!(some.len()) {
            return Err(format!("{} letters were to be replayed: {report}", some.len()).into());
        }
    }
    Ok(())
}
