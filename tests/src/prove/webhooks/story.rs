//! What happens at the networks' connectors, each event of it a webhook with a second of its own, and what must come of
//! it.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde_json::{Number, Value, json};
use uuid::Uuid;

use crate::prove::dice::Dice;
use crate::prove::network::{Hook, Network, Webhook};

/// Between two events of a connector, at most: a story is over before its first webhook is too old to be taken.
const LONGEST_STEP: usize = 8;

/// One connector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Which of the networks reports of it.
    pub(super) network: usize,
    pub(super) station: Uuid,
    /// Which of the station's it is.
    pub(super) number: usize,
    pub(super) connector: Uuid,
}

/// A driver.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    pub(super) id: Uuid,
    pub(super) tag: String,
}

/// One thing that a network tells.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) network: usize,
    pub(super) webhook: Webhook,
}

/// A session, as it must be in the end.
#[derive(Debug, Clone)]
pub(super) struct Charge {
    pub(super) network: usize,
    /// What the network calls it.
    pub(super) name: String,
    /// Whose it is; nobody's when its tag is.
    pub(super) driver: Option<Uuid>,
    /// What is to be billed: what the meter says, and nothing when it ran backwards.
    pub(super) kwh: Decimal,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) facts: Vec<Fact>,
    pub(super) charges: Vec<Charge>,
    /// The status of each connector in the end, in the networks' words.
    pub(super) statuses: Vec<(Uuid, &'static str)>,
}

impl Story {
    /// So many sessions at each place, one after the other, from now on.
    pub(super) fn of(places: &[Place], drivers: &[Driver], sessions: usize, dice: &Dice) -> Self {
        let mut story = Self::default();
        for place in places {
            let mut teller = Teller { story: &mut story, place: *place, now: whole_second(Utc::now()), dice };
            let mut status = "OFFLINE";
            for session in 0..sessions {
                if dice.chance(0.5) {
                    teller.status();
                }
                teller.charge(session, drivers);
                // A car that is there until something else is said.
                status = if dice.chance(0.3) { teller.status() } else { "OCCUPIED" };
            }
            story.statuses.push((place.connector, status));
        }
        story
    }
}

/// Tells of one connector.
struct Teller<'a> {
    story: &'a mut Story,
    place: Place,
    /// Of the last event.
    now: DateTime<Utc>,
    dice: &'a Dice,
}

impl Teller<'_> {
    fn tell(&mut self, hook: Hook, body: Value) {
        self.now += TimeDelta::seconds(1 + below(self.dice, LONGEST_STEP));
        // Every network counts its own: two choose the same.
        let told = self.story.facts.iter().filter(|fact| fact.network == self.place.network).count();
        let id = format!("msg_{told}");
        let webhook = Webhook { hook, id, at: self.now, body };
        self.story.facts.push(Fact { network: self.place.network, webhook });
    }

    fn status(&mut self) -> &'static str {
        let word = self.dice.one_of(&["AVAILABLE", "RESERVED", "MAINTENANCE", "OFFLINE", "FAULTED"]);
        let Place { station, number, connector, .. } = self.place;
        self.tell(Hook::Status, json!({
            "stationId": station, "connectorId": connector, "vendorConnectorId": Network::name_of(station, number),
            "status": word, "metadata": { "firmware": "1.2.3" },
        }));
        word
    }

    fn charge(&mut self, session: usize, drivers: &[Driver]) {
        let Place { network, connector, .. } = self.place;
        let name = format!("{}-{session}", self.place.number);
        let driver = if self.dice.chance(0.12) { None } else { Some(self.dice.one_of(drivers)) };
        // Up to 60 kWh in steps of 20 Wh: no price has a fraction of a cent.
        let flown = Decimal::new(2 * below(self.dice, 3000), 2);
        let start = Decimal::new(10_000 + below(self.dice, 1_000_000), 2);
        let end = if self.dice.chance(0.1) { start - flown } else { start + flown };
        // The network's own sum counts for nothing.
        let sum = if self.dice.chance(0.2) { flown + Decimal::TEN } else { flown };
        let tag = driver.as_ref().map_or("NOBODY", |driver| &driver.tag);
        self.tell(Hook::Start, json!({
            "vendorSessionId": name, "connectorId": connector, "startMeterReading": number(start), "idTag": tag,
        }));
        self.tell(Hook::End, json!({
            "vendorSessionId": name, "endMeterReading": number(end), "energyKwh": number(sum), "costAmount": 999.99,
        }));
        let (driver, kwh) = (driver.map(|driver| driver.id), (end - start).max(Decimal::ZERO));
        self.story.charges.push(Charge { network, name, driver, kwh });
    }
}

/// As JSON's numbers are written.
fn number(kwh: Decimal) -> Value {
    kwh.normalize().to_string().parse::<Number>().map_or(Value::Null, Value::Number)
}

fn below(dice: &Dice, sides: usize) -> i64 {
    i64::try_from(dice.below(sides)).unwrap_or_default()
}

fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::seconds(1)).unwrap_or(at)
}
