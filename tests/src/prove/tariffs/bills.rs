//! Estimates and the bills of what they foresaw: the same station, tariff, moment, time and energy.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use super::cases;
use crate::accounts::Account;
use crate::prove::Size;
use crate::prove::billing::world::delivery;
use crate::prove::cast::{Cast, Site};
use crate::prove::dice::Dice;
use crate::prove::queues::Queues;
use crate::stack::Stack;
use crate::{Result, wait};

const LINES: &str = "lines { description quantity unit unitPrice amount { amount currency } }";
const TARIFFS: usize = 4;

/// What a driver means to do, and then does.
struct Charge {
    session: Uuid,
    site: Site,
    /// In ten-thousandths of a kWh.
    energy: i64,
    start: DateTime<Utc>,
    minutes: i64,
    /// Minutes at the connector after that.
    idle: i64,
}

/// How many sessions were billed as they were estimated.
pub(super) async fn as_estimated(size: Size, stack: &Stack, seed: u64) -> Result<usize> {
    let (count, dice) = (size.of(5, 60), Dice::new(seed));
    let cast = Cast::new(stack).await?;
    let driver = cast.driver("Emil Estimate").await?;
    let mut sites = Vec::new();
    for number in 0..TARIFFS {
        let site = cast.site(1).await?;
        priced(&cast, &site, &dice, number).await?;
        sites.push(site);
    }
    let charges: Vec<_> = (0..count).map(|number| Charge::planned(&dice, &sites[number % TARIFFS])).collect();
    let mut estimates = Vec::new();
    for charge in &charges {
        estimates.push(charge.estimate(&driver).await?);
    }

    let queue = Queues::of(stack).await.queue(stack, "BillSessionQueue")?;
    let mut told = Vec::new();
    for charge in &charges {
        cast.database.with(SESSION, &charge.row(&driver)).await?;
        told.push(charge.told(&driver));
    }
    queue.send(&told).await?;
    for (charge, estimate) in charges.iter().zip(estimates) {
        let invoice = charge.invoice(&cast, &driver).await?;
        let bill: Value = json!({
            "total": invoice["amount"], "net": invoice["net"], "vat": invoice["vat"], "lines": invoice["lines"],
        });
        if bill != estimate {
            return Err(format!("{}: estimated {estimate}, billed {bill}", charge.row(&driver)).into());
        }
    }
    Ok(charges.len())
}

/// Gives a station a tariff of its own: every second one with bands, every third with idle time and a minimum.
async fn priced(cast: &Cast<'_>, site: &Site, dice: &Dice, number: usize) -> Result<()> {
    let price = |most: i64| Decimal::new(cases::below(dice, most), 4).to_string();
    let band = |days: &[&str], from: &str, to: &str| json!({ "days": days, "from": from, "to": to, "perKWh": price(9_000), "perMinute": price(800) });
    let week = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"];
    let bands = [
        band(&week, "07:30", "19:00"),
        band(&["SATURDAY", "SUNDAY"], "22:00", "06:00"),
        band(&week, "22:00", "06:00"),
    ];
    let mut input = json!({
        "stationId": site.station, "currency": "EUR", "perKWh": price(9_000), "perMinute": price(800),
        "startFee": price(20_000), "vatRate": "0.19", "timeZone": "Europe/Berlin", "reason": "for the proof",
    });
    if number.is_multiple_of(2) {
        input["bands"] = json!(bands);
    }
    if number.is_multiple_of(3) {
        input["idlePerMinute"] = json!(price(5_000));
        input["idleGraceMinutes"] = json!(dice.below(30));
        input["minimum"] = json!("5");
    }
    let create = "mutation($input: CreateTariffInput!) { createTariff(input: $input) { id } }";
    cast.by_operator(create, input).await.map(|_| ())
}

fn rfc3339(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Charge {
    /// Of the coming year: a tariff holds from now on, and clocks change twice meanwhile.
    fn planned(dice: &Dice, site: &Site) -> Self {
        Self {
            session: Uuid::now_v7(),
            site: site.clone(),
            energy: cases::below(dice, 900_000),
            start: Utc::now()
                + TimeDelta::hours(1)
                + TimeDelta::milliseconds(cases::below(dice, 31_536_000_000)),
            minutes: 1 + cases::below(dice, 900),
            idle: if dice.chance(0.5) { 0 } else { 1 + cases::below(dice, 300) },
        }
    }

    fn kwh(&self) -> Decimal {
        Decimal::new(self.energy, 4)
    }

    fn charged(&self) -> DateTime<Utc> {
        self.start + TimeDelta::minutes(self.minutes)
    }

    fn end(&self) -> DateTime<Utc> {
        self.charged() + TimeDelta::minutes(self.idle)
    }

    async fn estimate(&self, driver: &Account) -> Result<Value> {
        let query = format!(
            "query($input: EstimateCostInput!) {{ estimateCost(input: $input) {{
                 total {{ amount currency }} net {{ amount currency }} vat {{ amount currency }} {LINES} }} }}"
        );
        let input = json!({
            "stationId": self.site.station, "energyKWh": self.kwh().to_string(), "durationMinutes": self.minutes,
            "idleMinutes": self.idle, "startTime": rfc3339(self.start),
        });
        driver.client.field(&query, json!({ "input": input })).await
    }

    fn row(&self, driver: &Account) -> Value {
        json!({
            "session": self.session, "driver": driver.id, "station": self.site.station,
            "connector": self.site.connectors.first(), "kwh": self.kwh().to_string(), "start": rfc3339(self.start),
            "end": rfc3339(self.end()), "charged": (self.idle > 0).then(|| rfc3339(self.charged())),
        })
    }

    fn told(&self, driver: &Account) -> String {
        let detail = json!({
            "sessionId": self.session, "userId": driver.id, "stationId": self.site.station,
            "energyKwh": self.kwh().normalize().to_string().parse::<serde_json::Number>().ok(),
            "startedAt": rfc3339(self.start), "endedAt": rfc3339(self.end()),
            "durationMinutes": self.minutes + self.idle, "incomplete": false, "corrected": false, "tariffId": null,
            "reason": null,
        });
        delivery(Uuid::new_v5(&self.session, b"ended"), detail)
    }

    async fn invoice(&self, cast: &Cast<'_>, driver: &Account) -> Result<Value> {
        let query = format!("SELECT id::text FROM invoices WHERE session_id = '{}'", self.session);
        let id = wait::until("the bill", Duration::from_secs(60), async || {
            Ok(cast.database.texts(&query).await?.into_iter().next())
        })
        .await?;
        let query = format!(
            "query($id: ID!) {{ invoice(id: $id) {{
                 amount {{ amount currency }} net {{ amount currency }} vat {{ amount currency }} {LINES} }} }}"
        );
        driver.client.field(&query, json!({ "id": id })).await
    }
}

/// A session as its charger left it; where the car stood on, with the meter's last word.
const SESSION: &str = "
    WITH session AS (
        INSERT INTO sessions (id, user_id, station_id, connector_id, status, start_time, end_time, energy_kwh,
                              remote_start_id, correlation_id, created_at, updated_at)
        VALUES (($1::jsonb->>'session')::uuid, ($1::jsonb->>'driver')::uuid, ($1::jsonb->>'station')::uuid,
                ($1::jsonb->>'connector')::uuid, 'COMPLETED', ($1::jsonb->>'start')::timestamptz,
                ($1::jsonb->>'end')::timestamptz, ($1::jsonb->>'kwh')::numeric, 1, gen_random_uuid(), now(), now())
        RETURNING id, connector_id, energy_kwh
    ), transaction AS (
        INSERT INTO transactions (charger_id, transaction_id, issued, session_id, last_at, meter_start_wh, created_at,
                                  updated_at)
        SELECT connectors.charger_id, session.id::text, false, session.id, now(), 0, now(), now()
        FROM session JOIN connectors ON connectors.id = session.connector_id
        WHERE $1::jsonb->>'charged' IS NOT NULL
        RETURNING charger_id, transaction_id
    )
    INSERT INTO meter_readings (charger_id, transaction_id, at, register_wh)
    SELECT charger_id, transaction_id, ($1::jsonb->>'charged')::timestamptz, 1000 * energy_kwh FROM transaction, session";
