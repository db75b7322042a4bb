//! How many sessions a second are billed, one Data API call each: the very statement that `bill-session` sends, without
//! the bus around it, in turns with pgbench. Every session is billed once, the wallets hold enough.

use std::time::Duration;

use billing::{Facts, Priced, bill_statement};
use serde_json::json;
use shared::{CorrelationId, SessionId};
use tariff::Tariff;

use super::load::Call;
use super::{database, pgbench, tpc_b};
use crate::Result;
use crate::journey::Site;
use crate::stack::Stack;

const DRIVERS: u32 = 200;

/// The sides take turns of so many seconds, so that a machine that is slower for a moment is slower for all. Events are
/// left to their writer for longer than that: none is relayed meanwhile.
const TURN: u64 = 2;
/// More than are billed in one.
const BILLS_A_TURN: usize = 8_000;
/// More than the peer's function is called.
const TRANSACTIONS_A_TURN: usize = 16_000;

/// Rates a second.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    /// pgbench's transactions.
    pub pgbench: f64,
    /// The same as one function, a Data API call each.
    pub tpc_b: f64,
    /// Sessions billed, a Data API call each.
    pub billed: f64,
    /// Sessions without exactly one invoice, and wallets that are not the sum of their entries.
    pub wrong: i64,
}

/// `clients` connections bill, and do what pgbench does, in `turns` turns each.
pub async fn compare(stack: &Stack, site: &Site, clients: usize, turns: usize) -> Result<Compared> {
    // The first does not count: connections plan their statements in it.
    let all_turns = turns + 1;
    let correlation_id = CorrelationId::new();
    let bills = bills(stack, site, correlation_id, all_turns * BILLS_A_TURN).await?;
    pgbench::create_tables(stack, clients).await?;
    let transactions = tpc_b::prepare(stack, clients, all_turns * TRANSACTIONS_A_TURN).await?;

    let time = Duration::from_secs(TURN);
    let mut rates = Vec::with_capacity(all_turns);
    let mut bills_made = 0;
    for (transactions, bills) in transactions.chunks(TRANSACTIONS_A_TURN).zip(bills.chunks(BILLS_A_TURN)) {
        let pgbench = pgbench::measure(stack, clients, TURN).await?;
        let (_, tpc_b) = database::flood(stack, transactions, clients, time).await?;
        let (made, billed) = database::flood(stack, bills, clients, time).await?;
        rates.push([pgbench, tpc_b, billed]);
        bills_made += made;
        tell_nobody(stack, correlation_id).await?;
    }
    tpc_b::drop_function(stack).await?;
    pgbench::drop_tables(stack).await?;

    let wrong = wrong(stack, bills_made, correlation_id).await?;
    // What this wrote shall not reach the disk while something else is measured.
    stack.sql("VACUUM ANALYZE").await?;
    stack.sql("CHECKPOINT").await?;
    let mean = |side: usize| rates.iter().skip(1).map(|turn| turn[side]).sum::<f64>() / turns as f64;
    Ok(Compared { pgbench: mean(0), tpc_b: mean(1), billed: mean(2), wrong })
}

/// Calls that bill a session each.
async fn bills(stack: &Stack, site: &Site, correlation_id: CorrelationId, count: usize) -> Result<Vec<Call>> {
    let tariff =
        "SELECT tariff_document(tariffs)::text FROM tariffs WHERE station_id IS NULL AND operator IS NULL";
    let tariff: Tariff =
        serde_json::from_str(stack.sql(tariff).await?.first().ok_or("no tariff")?.try_get(0)?)?;
    let now = chrono::Utc::now();
    let mut bills = Vec::new();
    for (id, facts) in sessions(stack, site, &tariff, count).await? {
        let priced = Priced::new(facts, Some(&tariff), Vec::new(), now)?;
        bills.push(bill_statement(id, Some(&priced), now, correlation_id)?);
    }
    database::calls(stack, bills).await
}

/// The relay shall find none of the bills' events, or their consumers would run beside the next turn.
async fn tell_nobody(stack: &Stack, correlation_id: CorrelationId) -> Result<()> {
    let published = format!(
        "UPDATE outbox SET published_at = now()
         WHERE correlation_id = '{correlation_id}' AND published_at IS NULL"
    );
    stack.sql(&published).await.map(drop)
}

async fn wrong(stack: &Stack, billed: usize, correlation_id: CorrelationId) -> Result<i64> {
    let invoices = format!(
        "SELECT count(DISTINCT payload->>'sessionId') FROM outbox JOIN invoices
             ON invoices.session_id = (payload->>'sessionId')::uuid
         WHERE correlation_id = '{correlation_id}'"
    );
    let unlike = "SELECT count(*) FROM users WHERE wallet_balance <>
        (SELECT coalesce(sum(amount), 0) FROM wallet_entries WHERE user_id = users.id)";
    let missing = i64::try_from(billed)? - stack.count(&invoices).await?;
    Ok(missing.abs() + stack.count(unlike).await?)
}

/// Sessions that have ended and wait for their bills, with what their prices depend on.
async fn sessions(
    stack: &Stack,
    site: &Site,
    tariff: &Tariff,
    count: usize,
) -> Result<Vec<(SessionId, Facts)>> {
    let drivers = format!(
        "WITH drivers AS (
             INSERT INTO users (id, email, name, password_hash, id_tag, wallet_balance, created_at, updated_at)
             SELECT id, 'bench-' || id || '@example.com', 'Bench', '', upper(left(md5(id::text), 20)), 1000000,
                    now(), now()
             FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, {DRIVERS})) AS fresh
             RETURNING id
         ), credits AS (
             INSERT INTO wallet_entries (id, user_id, amount, currency, balance, cause, cause_id, reason, created_at)
             SELECT gen_random_uuid(), id, 1000000, 'EUR', 1000000, 'CREDIT', 'bench/' || id, 'bench', now()
             FROM drivers
         )
         SELECT id::text FROM drivers"
    );
    let drivers: Vec<String> =
        stack.sql(&drivers).await?.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?;
    let insert = format!(
        "INSERT INTO sessions (id, user_id, station_id, connector_id, status, start_time, end_time, energy_kwh,
                               tariff_id, remote_start_id, correlation_id, created_at, updated_at)
         SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7'
                     || substr(md5(gen_random_uuid()::text), 1, 3) || '8'
                     || substr(md5(gen_random_uuid()::text), 1, 15))::uuid,
                (ARRAY['{}']::uuid[])[1 + number % {DRIVERS}], '{}', '{}', 'COMPLETED',
                date_trunc('minute', now()) - interval '1 hour', date_trunc('minute', now()), 1 + number % 50, '{}',
                1, gen_random_uuid(), now(), now()
         FROM generate_series(1, {count}) AS number
         RETURNING id::text, user_id::text, energy_kwh::int, extract(epoch FROM end_time)::bigint",
        drivers.join("','"),
        site.station,
        site.connector,
        tariff.id,
    );
    let mut sessions = Vec::new();
    for row in stack.sql(&insert).await? {
        let ended = chrono::DateTime::from_timestamp(row.try_get(3)?, 0).ok_or("no moment")?;
        let facts = json!({
            "userId": row.try_get::<_, &str>(1)?,
            "stationId": site.station,
            "energyKwh": row.try_get::<_, i32>(2)?.to_string(),
            "startedAt": ended - chrono::TimeDelta::hours(1),
            "endedAt": ended,
            "tariffId": tariff.id,
            "coverage": null,
        });
        sessions.push((row.try_get::<_, &str>(0)?.parse()?, serde_json::from_value(facts)?));
    }
    Ok(sessions)
}
