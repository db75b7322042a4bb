//! The REST API as web front ends use it: stations, free slots, holds, bookings.

use std::time::Duration;

use booking::{Hold, HoldToken, take_hold};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::Method;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use super::drivers::{self, Driver};
use super::figure::{Figure, Tell};
use super::load::{Call, Calls};
use super::service::{self, Costs};
use super::slots::{Slot, Slots};
use super::{provider, sample::Sample};
use crate::Result;
use crate::stack::Stack;

/// A driver may have three; one less, so that none is refused for a hold that has just lapsed.
const HOLDS_A_DRIVER: usize = 2;
/// More a second than this machine has ever held.
const MOST_HOLDS: usize = 900;
/// The same of bookings paid from the wallet …
const MOST_BOOKINGS: usize = 700;
/// … and by card.
const MOST_CARDS: usize = 300;
/// How long a prepared hold lasts.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// All four, with what each cost.
pub async fn measure(stack: &Stack, time: Duration, costs: &mut Costs, tell: Tell<'_>) -> Result<()> {
    let slots = Slots::create(stack).await?;
    reads(stack, &slots, time, costs, tell).await?;
    holds(stack, &slots, time, costs, tell).await?;
    confirm(stack, &slots, Pays::Wallet, time, costs, tell).await?;
    let (rate, delays) = confirm(stack, &slots, Pays::Card, time, costs, tell).await?;
    let provider = provider::measure(stack, rate / 2.0, time).await?;
    tell(Figure::reported("  the provider's stand-in by itself, payments", provider.sustained, "/s"));
    let (p50, p99) = (provider.delays.percentile_ms(50.0), provider.delays.percentile_ms(99.0));
    tell(Figure::reported("  of that delay the provider's, p50", p50, "ms"));
    tell(Figure::reported("  the provider's, p99", p99, "ms"));
    tell(Figure::reported("  our own share, p50", delays.percentile_ms(50.0) - p50, "ms"));
    Ok(())
}

async fn reads(
    stack: &Stack,
    slots: &Slots,
    time: Duration,
    costs: &mut Costs,
    tell: Tell<'_>,
) -> Result<()> {
    // Any token opens these, as often as one likes.
    let drivers = drivers::create(stack, 50).await?;
    let token = |number: usize| drivers[number % drivers.len()].token.as_str();
    let station = Calls::from_many(&stack.http_url, |number| {
        Some(get(format!("/v1/stations/{}", slots.station(number)), token(number)))
    });
    let served = service::measure(stack, &station, time).await?;
    served.tell("GET /v1/stations/{id}", 30.0, tell);
    costs.insert("rest-get-station".into(), served.cost);

    let availability = Calls::from_many(&stack.http_url, |number| {
        let path = format!("/v1/stations/{}/availability?slotDurationMinutes=60", slots.station(number));
        Some(get(path, token(number)))
    });
    let served = service::measure(stack, &availability, time).await?;
    served.tell("GET /v1/stations/{id}/availability", 25.0, tell);
    costs.insert("rest-availability".into(), served.cost);

    // The recorded data is densest in Austin.
    let nearby = Calls::from_many(&stack.http_url, |number| {
        let path = "/v1/stations?latitude=30.27&longitude=-97.74&radiusKm=10&limit=20".to_owned();
        Some(get(path, token(number)))
    });
    let served = service::measure(stack, &nearby, time).await?;
    served.tell("GET /v1/stations (20 nearby, cached)", 30.0, tell);
    costs.insert("rest-list-stations".into(), served.cost);
    Ok(())
}

async fn holds(
    stack: &Stack,
    slots: &Slots,
    time: Duration,
    costs: &mut Costs,
    tell: Tell<'_>,
) -> Result<()> {
    let most = MOST_HOLDS * (1 + 2 * usize::try_from(time.as_secs())?);
    let drivers = drivers::create(stack, most / HOLDS_A_DRIVER).await?;
    let holds = Calls::from_many(&stack.http_url, |number| {
        let driver = drivers.get(number / HOLDS_A_DRIVER)?;
        let slot = slots.next()?;
        let wish = json!({
            "stationId": slot.station, "connectorId": slot.connector, "startTs": slot.start, "endTs": slot.end,
        });
        Some(post("/v1/bookings/holds", &driver.token, &wish))
    });
    let served = service::measure(stack, &holds, time).await?;
    served.tell("POST /v1/bookings/holds", 50.0, tell);
    costs.insert("rest-hold".into(), served.cost);
    Ok(())
}

/// Who pays a booking.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pays {
    Wallet,
    Card,
}

async fn confirm(
    stack: &Stack,
    slots: &Slots,
    pays: Pays,
    time: Duration,
    costs: &mut Costs,
    tell: Tell<'_>,
) -> Result<(f64, Sample)> {
    let (most, name, key, payment) = match pays {
        Pays::Wallet => (MOST_BOOKINGS, "POST /v1/bookings/confirm, wallet", "rest-confirm", Value::Null),
        Pays::Card => {
            (MOST_CARDS, "POST /v1/bookings/confirm, card", "rest-confirm-card", json!("pm_card_visa"))
        }
    };
    let most = most * (1 + 2 * usize::try_from(time.as_secs())?);
    let drivers = drivers::create(stack, most / HOLDS_A_DRIVER).await?;
    let tokens = hold_all(stack, slots, &drivers).await?;
    let confirmations = Calls::from_many(&stack.http_url, |number| {
        let (driver, hold) = (drivers.get(number / HOLDS_A_DRIVER)?, tokens.get(number)?);
        let body = json!({ "holdToken": hold, "paymentId": payment });
        Some(post("/v1/bookings/confirm", &driver.token, &body))
    });
    let served = service::measure(stack, &confirmations, time).await?;
    served.tell(name, 150.0, tell);
    let confirmed = booked(stack, &drivers).await?;
    tell(Figure::at_most(
        "  not CONFIRMED at the end",
        confirmations.made() as f64 - confirmed as f64,
        "",
        0.0,
    ));
    costs.insert(key.into(), served.cost);
    Ok((served.sustained, served.delays))
}

/// A hold for each driver's each turn, taken as the function takes them, and mirrored as `track-bookings` does it.
async fn hold_all(stack: &Stack, slots: &Slots, drivers: &[Driver]) -> Result<Vec<HoldToken>> {
    let mut redis = redis::Client::open(stack.redis_url.as_str())?.get_multiplexed_async_connection().await?;
    // To the millisecond, as holds are.
    let now = DateTime::from_timestamp_millis(Utc::now().timestamp_millis()).ok_or("no moment")?;
    let mut tokens = Vec::with_capacity(drivers.len() * HOLDS_A_DRIVER);
    let mut mirrored = Vec::with_capacity(tokens.capacity());
    for driver in drivers {
        for _ in 0..HOLDS_A_DRIVER {
            let hold = hold_of(driver, slots.next().ok_or("no slots are left")?, now);
            take(&mut redis, &hold, now).await?;
            mirrored.push(format!(
                "('{}', '{}', '{}', '{}', '{}', '{}', '{}')",
                hold.token,
                hold.user_id,
                hold.station_id,
                hold.connector_id,
                hold.start_ts.to_rfc3339(),
                hold.end_ts.to_rfc3339(),
                hold.expires_at.to_rfc3339(),
            ));
            tokens.push(hold.token);
        }
    }
    let insert = "INSERT INTO slot_holds (token, user_id, station_id, connector_id, start_ts, end_ts, expires_at) VALUES";
    for some in mirrored.chunks(1000) {
        stack.sql(&format!("{insert} {}", some.join(","))).await?;
    }
    Ok(tokens)
}

/// A hold of that slot.
pub(super) fn hold_of(driver: &Driver, slot: Slot, now: DateTime<Utc>) -> Hold {
    Hold {
        token: HoldToken::new(now),
        user_id: driver.id,
        station_id: slot.station,
        connector_id: slot.connector,
        start_ts: slot.start,
        end_ts: slot.end,
        expires_at: now + LIFETIME,
    }
}

/// Takes it in Redis.
pub(super) async fn take(redis: &mut MultiplexedConnection, hold: &Hold, now: DateTime<Utc>) -> Result<()> {
    let told: Vec<String> = take_hold(hold, now, 3).invoke_async(redis).await?;
    if told == ["TAKEN"] { Ok(()) } else { Err(format!("a fresh slot is not free: {told:?}").into()) }
}

async fn booked(stack: &Stack, drivers: &[Driver]) -> Result<i64> {
    let ids: Vec<String> = drivers.iter().map(|driver| format!("'{}'", driver.id)).collect();
    let query = "SELECT count(*) FROM bookings WHERE status = 'CONFIRMED' AND user_id IN";
    stack.count(&format!("{query} ({})", ids.join(","))).await
}

fn get(path: String, token: &str) -> Call {
    let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
    Call { method: Method::GET, path, headers, body: Bytes::new() }
}

fn post(path: &str, token: &str, body: &Value) -> Call {
    let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
    Call { method: Method::POST, path: path.to_owned(), headers, body: Bytes::from(body.to_string()) }
}
