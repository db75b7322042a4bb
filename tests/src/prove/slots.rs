//! Two hundred drivers race for twenty overlapping slots through both front doors, while Redis is killed and comes back
//! empty, cards are declined, and the provider's, the bus's and the database's answers are lost: no slot is sold twice,
//! nobody pays for nothing, and everybody is told clearly.

mod books;
mod client;
mod door;
mod field;
mod provider;
mod race;
mod redis;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::billing::published;
use super::cast::Cast;
use super::dice::Dice;
use super::faults::{Fate, Step};
use super::place::{Needs, OwnStack, Place};
use super::processes;
use super::{Proof, Size};
use crate::{Result, wait};
use client::Journal;
use field::Field;
use provider::Provider;
use race::Race;
use redis::OwnRedis;

/// What confirming costs.
const FEE: &str = "2.50";
/// Of the requests to the database and the bus.
const LOST: f64 = 0.01;
/// The bus tells of a hold, and a consumer keeps it, within this.
const MIRRORED_WITHIN: Duration = Duration::from_secs(30);
/// Functions that answered before Redis was killed first, and go on to the end.
const HOLDERS: [&str; 2] = ["hold-slot", "rest-hold-slot"];

/// A time of a connector's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    station: Uuid,
    connector: Uuid,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl Slot {
    fn wish(&self) -> Value {
        json!({
            "stationId": self.station, "connectorId": self.connector,
            "startTs": self.from, "endTs": self.to,
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.connector == other.connector && self.from < other.to && other.from < self.to
    }
}

/// No two bookings overlap.
pub(super) async fn run(size: Size, place: &Place, seed: u64) -> Result<Proof> {
    let redis = OwnRedis::start().await?;
    let needs = Needs { faults: true, redis: Some(redis.port()), ..Needs::default() };
    place
        .prove("slots", needs, async move |own| prove(size, own, redis, &Arc::new(Dice::new(seed))).await)
        .await
}

async fn prove(size: Size, own: &OwnStack, mut redis: OwnRedis, dice: &Arc<Dice>) -> Result<Proof> {
    let kills = size.of(2, 3);
    let (stack, faults) = (&own.stack, own.faults()?);
    let provider = Provider::behind_door(stack, dice, size.of(2, usize::MAX)).await?;
    let cast = Cast::new(stack).await?;
    let database = &cast.database;
    database.script(&format!("UPDATE tariffs SET booking_fee = {FEE}")).await?;
    let field = Field::set(size, &cast, dice, 2 * kills + 1).await?;
    let (race, clients) = field.start(stack, dice)?;
    field.fund(&cast, &clients).await?;

    let plan = Arc::clone(dice);
    faults.follow(move |call| match call.step {
        Step::Write | Step::Put if plan.chance(LOST) => Fate::LoseAnswer,
        Step::Write if plan.chance(LOST) => Fate::Throttle,
        Step::Put if plan.chance(LOST) => Fate::Unavailable,
        _ => Fate::Pass,
    });
    let running = try_join_all(clients.into_iter().map(client::Client::run));
    let directing = direct(size, &race, &mut redis, dice, async |tokens| mirrored(&cast, tokens).await);
    let holders = || processes::children(stack.pid).into_iter().filter(|p| HOLDERS.contains(&&*p.function));
    let (journals, ()) = tokio::try_join!(running, directing)?;
    faults.calm();

    settle(&cast, size).await?;
    let before: Vec<_> = holders().collect();
    let free = field.sell_the_rest(&cast, &race, &redis, size).await?;
    if let Some(gone) = before.iter().find(|process| !holders().any(|now| now == **process)) {
        return Err(format!("{} {} has ended meanwhile", gone.function, gone.pid).into());
    }
    settle(&cast, size).await?;
    published(stack, database, size).await?;

    let sold = books::sold(&cast).await?;
    books::are_right(database).await?;
    books::are_as_told(database, &journals).await?;
    let cards = books::are_the_providers(database, &provider).await?;
    books::nobody_holds(database, &redis, &journals).await?;
    for met in ["holds of Redis booked without it", "holds of the database booked with Redis"] {
        if race.counted(met) == 0 {
            return Err(format!("{met}: none were met").into());
        }
    }
    let (requests, answers) = provider.lost();
    Ok(Proof {
        name: "slots",
        figure: format!(
            "{} drivers, {} slots: {} booked, {} cancelled, {free} left over and all of them sold, {}; Redis killed \
             {kills} times: {} of its holds booked without it, {} of the database's with it, {} lost; {sold} bookings, \
             0 overlaps, {} card charges and {} refunds as the provider has them, {requests} requests to it and \
             {answers} of its answers lost",
            journals.len(),
            field.slots.len(),
            last(&journals, &["CONFIRMED", "PENDING"]),
            race.counted("cancelled"),
            refusals(&journals),
            race.counted("holds of Redis booked without it"),
            race.counted("holds of the database booked with Redis"),
            race.counted("holds lost with Redis"),
            cards.charges,
            cards.refunds,
        ),
    })
}

/// Kills Redis and starts it again, turn by turn: the first time when everybody rests, so that holds of both kinds are
/// there for sure; then somewhere in the crowd.
async fn direct(
    size: Size,
    race: &Race,
    redis: &mut OwnRedis,
    dice: &Dice,
    mirrored: impl AsyncFn(&[String]) -> Result<()>,
) -> Result<()> {
    for turn in 0..race.turns() - 1 {
        let until = race.requests() + dice.below(size.of(25, 120));
        let at_rest = turn < 2;
        // Whoever held a slot in the database is to find Redis again.
        let met = || turn != 2 || race.counted("holds of the database booked with Redis") > 0;
        wait::until("the next turn", size.patience(), async || {
            Ok((race.rests() || (!at_rest && race.requests() > until && met())).then_some(()))
        })
        .await?;
        if at_rest {
            mirrored(&race.held()).await?;
        }
        if turn % 2 == 0 {
            redis.kill().await?
        } else {
            redis.begin().await?
        }
        race.next();
    }
    Ok(())
}

/// Waits until the database knows these holds.
async fn mirrored(cast: &Cast<'_>, tokens: &[String]) -> Result<()> {
    let query = "SELECT count(*) FROM slot_holds
                 WHERE token IN (SELECT jsonb_array_elements_text($1::jsonb)) AND expires_at > now()";
    if tokens.is_empty() {
        return Err("nobody holds a slot and waits".into());
    }
    wait::until("holds to be in the database", MIRRORED_WITHIN, async || {
        let rows = cast.database.with(query, &json!(tokens)).await?;
        let known: i64 = rows.first().ok_or("no row")?.try_get(0)?;
        Ok((usize::try_from(known)? == tokens.len()).then_some(()))
    })
    .await
}

/// Has what the provider did, or did not, brought into the books.
async fn settle(cast: &Cast<'_>, size: Size) -> Result<()> {
    // Reconciliation leaves alone what is younger than two minutes.
    let age = "
        UPDATE payments SET looked_at = looked_at - interval '1 hour' WHERE status IN ('PENDING', 'REQUIRES_ACTION');
        UPDATE refunds SET looked_at = looked_at - interval '1 hour' WHERE status IN ('PENDING', 'HELD')";
    let open = "SELECT (SELECT count(*) FROM payments WHERE status IN ('PENDING', 'REQUIRES_ACTION'))
                     + (SELECT count(*) FROM refunds WHERE status IN ('PENDING', 'HELD'))";
    wait::until("cards to be charged or not", size.patience(), async || {
        if cast.database.count(open).await? == 0 {
            return Ok(Some(()));
        }
        cast.database.script(age).await?;
        // One that runs already does as well.
        let _ = cast.stack.invoke("reconcile-payments", &json!({})).await;
        Ok(None)
    })
    .await
}

fn last(journals: &[Journal], these: &[&str]) -> usize {
    journals.iter().filter(|journal| these.contains(&journal.last.as_str())).count()
}

/// What those heard last who have nothing: `170 SLOT_TAKEN, 3 RELEASED`.
fn refusals(journals: &[Journal]) -> String {
    let mut codes = BTreeMap::<&str, usize>::new();
    for journal in journals.iter().filter(|journal| !matches!(&*journal.last, "CONFIRMED" | "PENDING")) {
        *codes.entry(&journal.last).or_default() += 1;
    }
    codes.iter().map(|(code, count)| format!("{count} {code}")).collect::<Vec<_>>().join(", ")
}
