//! The slots, and the drivers who want them.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::Slot;
use super::client::{Client, Means, Wish};
use super::door::{Ask, Caller, Door, GATES};
use super::race::Race;
use super::redis::OwnRedis;
use crate::accounts::Account;
use crate::prove::Size;
use crate::prove::cast::{Cast, Site};
use crate::prove::dice::Dice;
use crate::stack::Stack;
use crate::{Result, wait};

/// Accounts opened at a time: each costs a processor some ten milliseconds.
const OPENED_AT_ONCE: usize = 6;
/// What a wallet holds at first.
const CREDIT: &str = "40.00";

/// Minutes, from and to: beside, across, within and around each other. Each turn brings slots of its own, at another time.
const FIRST: [(i64, i64); 4] = [(0, 60), (30, 90), (60, 120), (75, 105)];
const LATER: [&[(i64, i64)]; 3] =
    [&[(0, 120), (0, 60), (60, 105)], &[(0, 60), (15, 45)], &[(0, 60), (30, 90), (45, 60)]];

/// Everybody and everything.
pub(super) struct Field {
    pub(super) slots: Vec<Slot>,
    /// For each turn, where its slots begin.
    begins: Vec<usize>,
    drivers: Vec<Account>,
    /// They come when the race is over.
    late: Vec<Account>,
    turns: usize,
}

impl Field {
    /// Slots for so many turns, and drivers with money.
    pub(super) async fn set(size: Size, cast: &Cast<'_>, dice: &Dice, turns: usize) -> Result<Self> {
        let (slots, begins) = slots(&cast.site(2).await?, turns, size.of(14, 20))?;
        let racers = size.of(40, 200);
        let late = slots.len().min(10);
        let mut drivers: Vec<Account> = stream::iter(0..racers + late)
            .map(|_| cast.driver("Rosa Racer"))
            .buffer_unordered(OPENED_AT_ONCE)
            .try_collect()
            .await?;
        let late = drivers.split_off(racers);
        dice.shuffle(&mut drivers);
        Ok(Self { slots, begins, drivers, late, turns })
    }

    /// Who has money in the wallet gets it now; and everybody's plans are made.
    pub(super) async fn fund(&self, cast: &Cast<'_>, clients: &[Client]) -> Result<()> {
        let funded = clients.iter().filter(|client| client.means == Means::Wallet).map(|client| &client.user);
        let funded: Vec<_> = funded.chain(self.late.iter().map(|account| &account.id)).collect();
        let credit = format!(
            "SELECT post_wallet_entry(gen_random_uuid(), value::uuid, {CREDIT}, 'EUR', 'CREDIT', 'proof/' || value,
                                      'for the proof', now())::text
             FROM jsonb_array_elements_text($1::jsonb)"
        );
        cast.database.with(&credit, &json!(funded)).await?;
        Ok(())
    }

    /// The race, and everybody at its start.
    pub(super) fn start(&self, stack: &Stack, dice: &Dice) -> Result<(Arc<Race>, Vec<Client>)> {
        let wave = |number: usize| number % self.turns;
        let race = Arc::new(Race::new(self.turns, (0..self.drivers.len()).map(wave), &GATES));
        let client = |(number, account): (usize, &Account)| {
            let door = if (number / self.turns).is_multiple_of(2) { Door::GraphQl } else { Door::Rest };
            Ok(Client {
                user: account.id.clone(),
                wave: wave(number),
                means: means(wave(number), dice),
                wishes: self.wishes(wave(number), dice),
                caller: Caller::new(stack, account, door, number, &race)?,
                race: Arc::clone(&race),
            })
        };
        let clients = self.drivers.iter().enumerate().map(client).collect::<Result<_>>()?;
        Ok((race, clients))
    }

    /// One of the wave's own slots, then any that there are by then.
    fn wishes(&self, wave: usize, dice: &Dice) -> Vec<Wish> {
        let end = self.begins.get(wave + 1).copied().unwrap_or(self.slots.len());
        let own = self.begins[wave] + dice.below(end - self.begins[wave]);
        let others = (0..1 + dice.below(3)).map(|_| dice.below(end));
        let wish = |(number, slot): (usize, usize)| {
            // Redis dies and comes back with somebody's hold for sure.
            let is_first = wave < 2 && number == 0;
            Wish {
                slot: self.slots[slot].clone(),
                dawdles: if is_first { 1 } else { dice.one_of(&[0, 0, 0, 1, 1, 2]) },
                releases: !is_first && dice.chance(0.2),
                repeats: dice.chance(0.3),
                cancels: dice.chance(0.4),
            }
        };
        std::iter::once(own).chain(others).enumerate().map(wish).collect()
    }

    /// Whoever comes now gets whatever no booking is in the way of: nothing is held for nobody. Their holds are Redis's.
    /// Tells how many slots that were.
    pub(super) async fn sell_the_rest(
        &self,
        cast: &Cast<'_>,
        race: &Arc<Race>,
        redis: &OwnRedis,
        size: Size,
    ) -> Result<usize> {
        let mut sold = 0;
        for slot in &self.slots {
            if taken(cast).await?.iter().any(|taken| taken.overlaps(slot)) {
                continue;
            }
            let account = &self.late[sold % self.late.len()];
            let door = if sold % 2 == 0 { Door::GraphQl } else { Door::Rest };
            let caller = Caller::new(cast.stack, account, door, self.drivers.len() + sold, race)?;
            let (key, mut refused) = (format!("user:{}:holds", account.id), String::new());
            let token = wait::until("a free slot to be held in Redis", size.patience(), async || {
                let hold = match caller.ask(&Ask::Hold(slot)).await? {
                    Ok(hold) => hold,
                    Err(code) => {
                        refused = code;
                        return Ok(None);
                    }
                };
                let token = hold["token"].as_str().unwrap_or_default().to_owned();
                if redis.text(&key).await?.contains(&token) {
                    return Ok(Some(token));
                }
                // Whoever took it has not heard yet that Redis is back.
                caller.ask(&Ask::Release(&token)).await?.map_err(|code| format!("not given back: {code}"))?;
                "taken in the database,".clone_into(&mut refused);
                Ok(None)
            })
            .await
            .map_err(|error| format!("{error}: {refused} {slot:?}"))?;
            match caller.ask(&Ask::Confirm { token: &token, card: None }).await? {
                Ok(booking) if booking["status"] == "CONFIRMED" => sold += 1,
                other => return Err(format!("{slot:?} was held and cannot be booked: {other:?}").into()),
            }
        }
        Ok(sold)
    }
}

/// Most pay from the wallet. Those of the first turns pay for sure.
fn means(wave: usize, dice: &Dice) -> Means {
    let visa = Means::Card("pm_card_visa");
    if wave < 2 {
        return dice.one_of(&[Means::Wallet, visa]);
    }
    let declined = ["pm_card_chargeCustomerFail", "pm_card_visa_chargeDeclined"].map(Means::Card);
    dice.one_of(&[Means::Wallet, Means::Wallet, visa, visa, Means::EmptyWallet, declined[0], declined[1]])
}

/// `count` slots from tomorrow on, and with which each turn's begin.
fn slots(site: &Site, turns: usize, count: usize) -> Result<(Vec<Slot>, Vec<usize>)> {
    let tomorrow = (Utc::now() + TimeDelta::days(1)).date_naive().and_hms_opt(10, 0, 0);
    let tomorrow = tomorrow.ok_or("a day without ten o'clock")?.and_utc();
    let (mut slots, mut begins) = (Vec::new(), Vec::new());
    for turn in 0..turns {
        begins.push(slots.len());
        let pattern = if turn < 2 { &FIRST[..] } else { LATER[turn % LATER.len()] };
        let left = (turns - turn - 1) * 2;
        let most = count.saturating_sub(slots.len() + left).max(1);
        let base = tomorrow + TimeDelta::hours(3 * i64::try_from(turn / 2)?);
        for (from, to) in pattern.iter().take(most) {
            slots.push(Slot {
                station: site.station,
                connector: site.connectors[turn % 2],
                from: base + TimeDelta::minutes(*from),
                to: base + TimeDelta::minutes(*to),
            });
        }
    }
    Ok((slots, begins))
}

/// The times that are booked.
pub(super) async fn taken(cast: &Cast<'_>) -> Result<Vec<Slot>> {
    let query = "SELECT jsonb_build_array(station_id, connector_id, rfc3339(start_ts), rfc3339(end_ts))
                 FROM bookings WHERE status IN ('PENDING', 'CONFIRMED', 'ACTIVE')";
    let rows = cast.database.rows(query).await?;
    let slot = |row: &tokio_postgres::Row| {
        let (station, connector, from, to) = serde_json::from_value(row.try_get::<_, Value>(0)?)?;
        Ok(Slot { station, connector, from, to })
    };
    rows.iter().map(slot).collect()
}
