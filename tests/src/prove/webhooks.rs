//! Charging networks tell of sessions and statuses by signed webhooks, each one to three times, in any order, among
//! forged and stale ones, while their keys are rotated and `process-vendor-report` is killed: every session is billed
//! once, for what its meter says.

mod books;
mod forge;
mod letters;
mod post;
mod story;
mod turmoil;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use futures::try_join;
use serde_json::json;
use uuid::Uuid;

use super::billing::{empty, published, replay};
use super::cast::Cast;
use super::dice::Dice;
use super::network::{Hook, Network, Webhook};
use super::place::{Needs, OwnStack, Place};
use super::queues::Queues;
use super::{Proof, Size};
use crate::{Result, wait};
use letters::Dead;
use post::{Keys, Post, Told};
use story::{Driver, Fact, Story};
use turmoil::Turmoil;

/// After this, a message whose consumer was killed comes again; longer than a batch takes.
const HIDDEN_SECONDS: (u32, u32) = (3, 15);
/// A webhook older than five minutes is refused: none is repeated that could be by the time it arrives.
const OLDEST: TimeDelta = TimeDelta::minutes(4);

/// Believed once.
pub(super) async fn run(size: Size, place: &Place, seed: u64) -> Result<Proof> {
    let needs = Needs { faults: true, ..Needs::default() };
    place.prove("webhooks", needs, async |own| prove(size, own, &Arc::new(Dice::new(seed))).await).await
}

async fn prove(size: Size, own: &OwnStack, dice: &Arc<Dice>) -> Result<Proof> {
    let (stack, faults, kills) = (&own.stack, own.faults()?, size.of(5, 100));
    let (cast, queues) = (Cast::new(stack).await?, Queues::of(stack).await);
    let queue = queues.queue(stack, "VendorQueue")?;
    queue.hide_for(size.of(HIDDEN_SECONDS.0, HIDDEN_SECONDS.1)).await?;
    let (networks, places) = networks(size, &cast).await?;
    let drivers = drivers(size, &cast).await?;
    let story = Story::of(&places, &drivers, size.of(4, 8), dice);
    let mut poison = strangers(&story, &networks, size.of(4, 40), dice);

    let mut deliveries: Vec<Told> = Vec::new();
    for fact in story.facts.iter().chain(&poison) {
        deliveries.extend((0..=dice.below(3)).map(|_| Told::Truly(fact.clone())));
    }
    let truly = deliveries.len();
    let forged = size.of(3, 20) * forge::WAYS;
    deliveries.extend((0..forged).map(|way| Told::Forged(dice.one_of(&story.facts), way)));
    dice.shuffle(&mut deliveries);

    let post = Post { stack, size, dice, keys: networks.iter().map(Keys::of).collect(), networks: &networks };
    // The poll that is under way hides what it gets for as long as was said when it began: it gets this.
    post.truly(&story.facts[0]).await?;
    empty(&queue, size).await?;
    let turmoil =
        Turmoil::new(dice, kills, kills as f64 / (size.of(0.8, 1.3) * truly as f64), size.of(1, 30));
    let plan = Arc::clone(&turmoil);
    faults.follow(move |call| plan.fate(call));
    let (before, after) = deliveries.split_at(deliveries.len() / 2);
    post.all(before).await?;
    // The first webhooks signed with new keys meet functions that know only the old ones.
    try_join!(post.rotate(&cast.operator), post.all(after))?;
    empty(&queue, size).await?;

    let mut repeats = 0;
    while faults.kills() < kills {
        let recent: Vec<_> =
            story.facts.iter().filter(|fact| fact.webhook.at > Utc::now() - OLDEST).collect();
        if recent.is_empty() {
            return Err(format!("{} kills, and nothing left to be repeated", faults.kills()).into());
        }
        let told: Vec<_> = (0..20).map(|_| Told::Truly((*dice.one_of(&recent)).clone())).collect();
        repeats += told.len();
        turmoil.more(kills - faults.kills(), 0.1);
        post.all(&told).await?;
        empty(&queue, size).await?;
    }
    faults.calm();

    let letters = queues.queue(stack, "VendorDeadLetters")?;
    let dead = Dead { stack, database: &cast.database, queue: letters, networks: &networks };
    let mut replayed = 0;
    // What died with its consumers more often than the queue allows.
    for _ in 0..5 {
        let innocent = dead.innocent(&poison).await?;
        if innocent.is_empty() {
            break;
        }
        replayed += innocent.len();
        replay(&cast.operator, &innocent).await?;
        empty(&queue, size).await?;
    }

    let twice = again(&story, dice);
    let (otherwise, lies) = otherwise(&story, dice);
    let told = [&twice, &otherwise, &lies].into_iter().flatten();
    post.all(&told.cloned().map(Told::Truly).collect::<Vec<_>>()).await?;
    poison.extend(otherwise);
    empty(&queue, size).await?;

    published(stack, &cast.database, size).await?;
    let due = i64::try_from(story.charges.iter().filter(|charge| charge.driver.is_some()).count())?;
    wait::until("every session to be billed", size.patience(), async || {
        Ok((books::billed(&cast.database).await? >= due).then_some(()))
    })
    .await?;
    let left = dead.only(&poison).await?;
    let of = |fact: &Fact| (networks[fact.network].id, fact.webhook.id.clone());
    let believed: BTreeSet<_> = story.facts.iter().chain(&twice).map(of).collect();
    books::check(&cast.database, &story, &networks, &believed).await?;

    Ok(Proof {
        name: "webhooks",
        figure: format!(
            "{} webhooks of {} networks delivered {} times in any order, {} kills, keys rotated meanwhile: {due} sessions \
             of {} billed once each for what the meter says, {} connectors show the newest; {forged} forged, stale or \
             broken refused, {left} dead letters, all poisoned ({replayed} others replayed)",
            believed.len() + poison.len(),
            networks.len(),
            1 + truly + repeats + twice.len() + 2 * lies.len(),
            faults.kills(),
            story.charges.len(),
            story.statuses.len(),
        ),
    })
}

/// Networks, each with a station of its own.
async fn networks(size: Size, cast: &Cast<'_>) -> Result<(Vec<Network>, Vec<story::Place>)> {
    let (mut networks, mut places) = (Vec::new(), Vec::new());
    let create = "mutation($input: CreateTariffInput!) { createTariff(input: $input) { id } }";
    for number in 0..size.of(2, 3) {
        let (network, station) = (Network::register(&cast.operator).await?, cast.site(0).await?.station);
        let tariff = json!({
            "stationId": station, "currency": "EUR", "perKWh": books::PER_KWH, "vatRate": "0.19",
            "reason": "for the proof",
        });
        cast.by_operator(create, tariff).await?;
        let connectors = network.connectors(&cast.operator, station, 1, size.of(3, 30)).await?;
        places.extend(connectors.into_iter().enumerate().map(|(index, connector)| story::Place {
            network: number,
            station,
            number: index + 1,
            connector,
        }));
        networks.push(network);
    }
    Ok((networks, places))
}

/// Drivers who can pay.
async fn drivers(size: Size, cast: &Cast<'_>) -> Result<Vec<Driver>> {
    let mut drivers = Vec::new();
    for _ in 0..size.of(3, 20) {
        let account = cast.driver("Dora Driver").await?;
        for _ in 0..4 {
            cast.operator.credit(&account, "500.00").await?;
        }
        let tag = format!("SELECT id_tag FROM users WHERE id = '{}'", account.id);
        drivers.push(Driver { id: account.id.parse()?, tag: cast.database.texts(&tag).await?.concat() });
    }
    Ok(drivers)
}

/// Well signed, and of connectors that are nobody's or another network's.
fn strangers(story: &Story, networks: &[Network], count: usize, dice: &Dice) -> Vec<Fact> {
    let of = |number: usize| {
        let fact = loop {
            let fact = dice.one_of(&story.facts);
            if fact.webhook.hook != Hook::End {
                break fact;
            }
        };
        let mut webhook = Webhook { id: format!("stranger_{number}"), ..fact.webhook };
        let is_nobodys = number.is_multiple_of(2);
        if is_nobodys {
            webhook.body["connectorId"] = json!(Uuid::new_v4());
        }
        let network = if is_nobodys { fact.network } else { (fact.network + 1) % networks.len() };
        Fact { network, webhook }
    };
    (0..count).map(of).collect()
}

/// What was told, told again under another id and later.
fn again(story: &Story, dice: &Dice) -> Vec<Fact> {
    let sessions = story.facts.iter().filter(|fact| fact.webhook.hook != Hook::Status);
    let some = sessions.filter(|_| dice.chance(0.1)).enumerate();
    let again = some.map(|(number, fact)| {
        let webhook = Webhook { id: format!("again_{number}"), at: Utc::now(), ..fact.webhook.clone() };
        Fact { network: fact.network, webhook }
    });
    again.collect()
}

/// What contradicts what was told: under ids of their own, which are refused, and under ids that were heard already, which
/// nobody looks at again.
fn otherwise(story: &Story, dice: &Dice) -> (Vec<Fact>, Vec<Fact>) {
    let readings = |fact: &Fact| match fact.webhook.hook {
        Hook::Status => None,
        Hook::Start => Some("startMeterReading"),
        Hook::End => Some("endMeterReading"),
    };
    let mut lies = Vec::new();
    for fact in story.facts.iter().filter(|_| dice.chance(0.1)) {
        let Some(reading) = readings(fact) else { continue };
        let mut webhook = Webhook { at: Utc::now(), ..fact.webhook.clone() };
        webhook.body[reading] = json!(7_654_321);
        lies.push(Fact { network: fact.network, webhook });
    }
    let renamed = |(number, fact): (usize, &Fact)| {
        let webhook = Webhook { id: format!("otherwise_{number}"), ..fact.webhook.clone() };
        Fact { network: fact.network, webhook }
    };
    (lies.iter().enumerate().map(renamed).collect(), lies)
}
