//! One of the drivers: wants a slot, holds it, dawdles, pays for it or thinks better of it, and takes another if somebody
//! was faster.

use std::sync::Arc;

use serde_json::Value;

use super::Slot;
use super::door::{Answer, Ask, Caller};
use super::race::Race;
use crate::Result;

/// A request whose card is not charged yet is repeated so often; then the books are left to do it.
const MOST_REPEATS: usize = 3;
/// A hold that was lost with Redis is taken again so often.
const MOST_HOLDS: usize = 3;
/// What REST says of a booking whose card failed; GraphQL shows it, CANCELLED.
const UNPAID: &str = "PAYMENT_FAILED";

/// What somebody pays with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    Wallet,
    /// Finds out that it is, and names a card then.
    EmptyWallet,
    Card(&'static str),
}

/// What a driver means to do with a slot.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) slot: Slot,
    /// How many turns go by between hold and booking.
    pub(super) dawdles: usize,
    /// Gives the hold back after that.
    pub(super) releases: bool,
    /// Asks for the booking twice.
    pub(super) repeats: bool,
    /// Cancels the booking.
    pub(super) cancels: bool,
}

/// One of the drivers.
pub(super) struct Client {
    pub(super) user: String,
    /// In which turn it comes.
    pub(super) wave: usize,
    pub(super) means: Means,
    /// The next one is wished for when the one before is another's.
    pub(super) wishes: Vec<Wish>,
    pub(super) caller: Caller,
    pub(super) race: Arc<Race>,
}

/// What a driver was told.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) user: String,
    /// The last answer: a booking's status, RELEASED, or the code of a refusal.
    pub(super) last: String,
    /// Bookings by id, with the status last told.
    pub(super) bookings: Vec<(String, String)>,
    /// Tokens whose bookings' cards failed, where the answer named no booking.
    pub(super) unpaid: Vec<String>,
    /// Holds that were given back.
    pub(super) released: Vec<String>,
}

impl Client {
    /// The whole of it.
    pub(super) async fn run(self) -> Result<Journal> {
        self.race.begin(self.wave).await?;
        let mut journal = Journal { user: self.user.clone(), ..Journal::default() };
        for wish in &self.wishes {
            journal.last = self.pursue(wish, &mut journal).await?;
            if matches!(journal.last.as_str(), "CONFIRMED" | "PENDING") {
                break;
            }
        }
        self.race.end();
        Ok(journal)
    }

    async fn pursue(&self, wish: &Wish, journal: &mut Journal) -> Result<String> {
        for _ in 0..MOST_HOLDS {
            let held_in = self.race.now();
            let hold = match self.caller.ask(&Ask::Hold(&wish.slot)).await? {
                Ok(hold) => hold,
                Err(code) => return Ok(code),
            };
            let token = hold["token"].as_str().ok_or_else(|| format!("no token: {hold}"))?;
            // Redis did not change while it was taken.
            let held_in = Some(held_in).filter(|turn| *turn == self.race.now());
            self.race.count("holds");
            self.race.let_pass(wish.dawdles, token).await?;
            if wish.releases {
                self.release(token, journal).await?;
                return Ok("RELEASED".to_owned());
            }
            match self.confirm(wish, token, held_in).await? {
                Ok(booking) => return self.booked(wish, booking, journal).await,
                Err(code) if code == UNPAID => {
                    journal.unpaid.push(token.to_owned());
                    return Ok(code);
                }
                Err(code) => {
                    // It lapses by itself, but others want what was held.
                    self.release(token, journal).await?;
                    if code != "NOT_FOUND" {
                        return Ok(code);
                    }
                    if held_in == Some(self.race.now()) {
                        return Err(format!("the hold {token} was lost though nothing happened").into());
                    }
                    self.race.count("holds lost with Redis");
                }
            }
        }
        Ok("NOT_FOUND".to_owned())
    }

    /// The booking once it is not PENDING any more, or as long as that takes.
    async fn confirm(&self, wish: &Wish, token: &str, held_in: Option<usize>) -> Result<Answer> {
        let card = match self.means {
            Means::Card(card) => Some(card),
            Means::Wallet | Means::EmptyWallet => None,
        };
        let asked_in = self.race.now();
        let mut ask = Ask::Confirm { token, card };
        let mut answer = self.caller.ask(&ask).await?;
        if self.means == Means::EmptyWallet && answer == Err("INSUFFICIENT_FUNDS".to_owned()) {
            self.race.count("empty wallets");
            ask = Ask::Confirm { token, card: Some("pm_card_visa") };
            answer = self.caller.ask(&ask).await?;
        }
        if wish.repeats && answer == Err(UNPAID.to_owned()) {
            let again = self.caller.ask(&ask).await?;
            if again != answer {
                return Err(format!("{token} was not paid, and repeated it is {again:?}").into());
            }
        }
        let Ok(booking) = &answer else { return Ok(answer) };
        if let Some(held_in) = held_in
            && asked_in == self.race.now()
            && asked_in > held_in
        {
            match (held_in % 2, asked_in % 2) {
                (0, 1) => self.race.count("holds of Redis booked without it"),
                (1, 0) => self.race.count("holds of the database booked with Redis"),
                (0, 0) => self.race.count("holds of Redis booked with another"),
                _ => {}
            }
        }
        let id = booking["id"].clone();
        let repeats = if wish.repeats { 1 } else { 0 };
        let mut asked = 0;
        while asked < repeats || (is_pending(&answer) && asked < MOST_REPEATS) {
            asked += 1;
            answer = self.caller.ask(&ask).await?;
            match &answer {
                Ok(booking) if booking["id"] == id => {}
                Err(code) if code == UNPAID => break,
                other => return Err(format!("{token} was booking {id}, and repeated it is {other:?}").into()),
            }
        }
        Ok(answer)
    }

    async fn booked(&self, wish: &Wish, booking: Value, journal: &mut Journal) -> Result<String> {
        let text = |booking: &Value, field: &str| booking[field].as_str().unwrap_or_default().to_owned();
        let (id, mut status) = (text(&booking, "id"), text(&booking, "status"));
        if wish.cancels && status == "CONFIRMED" {
            status = match self.caller.ask(&Ask::Cancel(&id)).await? {
                Ok(cancelled) => text(&cancelled, "status"),
                Err(code) => return Err(format!("the booking {id} cannot be cancelled: {code}").into()),
            };
            self.race.count("cancelled");
        }
        journal.bookings.push((id, status.clone()));
        Ok(status)
    }

    async fn release(&self, token: &str, journal: &mut Journal) -> Result<()> {
        match self.caller.ask(&Ask::Release(token)).await? {
            Ok(_) => {
                journal.released.push(token.to_owned());
                Ok(())
            }
            Err(code) => Err(format!("a hold cannot be given back: {code}").into()),
        }
    }
}

fn is_pending(answer: &Answer) -> bool {
    answer.as_ref().is_ok_and(|booking| booking["status"] == "PENDING")
}
