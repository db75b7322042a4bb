//! One message that nobody can bill among nine that can: it fails alone, whatever is wrong with it.

use serde_json::{Value, json};
use uuid::Uuid;

use super::billing::world::{World, poisoned};
use super::cast::batch;
use super::database::Database;
use super::dice::Dice;
use super::place::{Needs, Place};
use super::{Proof, Size};
use crate::Result;
use crate::stack::Stack;

/// Of a batch.
const INNOCENT: usize = 9;
/// What can be wrong.
const KINDS: usize = 7;

/// Nine of ten.
pub(super) async fn run(size: Size, place: &Place, seed: u64) -> Result<Proof> {
    place.prove("poison", Needs::default(), async |own| prove(size, &own.stack, &Dice::new(seed)).await).await
}

async fn prove(size: Size, stack: &Stack, dice: &Dice) -> Result<Proof> {
    let batches = size.of(KINDS, 10 * KINDS);
    let database = Database::of(stack).await?;
    let mut world = World::new(dice, INNOCENT * batches);
    for session in &mut world.sessions {
        session.early = false;
    }
    world.write(&database).await?;
    for (number, sessions) in world.sessions.chunks(INNOCENT).enumerate() {
        let poison = Uuid::new_v4();
        let mut messages: Vec<_> =
            sessions.iter().map(|session| (Uuid::new_v4(), world.told(session, dice))).collect();
        messages.insert(dice.below(INNOCENT + 1), (poison, poisoned(&world, number)));
        let answer: Value = stack.invoke("bill-session", &batch(messages)).await?;
        if answer["batchItemFailures"] != json!([{ "itemIdentifier": poison }]) {
            return Err(format!("poison of kind {}: {answer}", number % KINDS).into());
        }
        let billed = database.count("SELECT count(DISTINCT session_id) FROM invoices").await?;
        if usize::try_from(billed)? != (number + 1) * INNOCENT {
            return Err(format!("poison of kind {}: {billed} sessions are billed", number % KINDS).into());
        }
    }
    Ok(Proof {
        name: "poison",
        figure: format!(
            "{batches} batches of ten with one poisoned message each, of {KINDS} kinds: {batches} failed, {} billed",
            INNOCENT * batches
        ),
    })
}
