//! What must be true of sessions, bills, connectors and reports when everything was told.

use std::collections::{BTreeSet, HashMap};

use rust_decimal::Decimal;
use uuid::Uuid;

use super::story::{Charge, Story};
use crate::Result;
use crate::prove::database::Database;
use crate::prove::network::Network;

/// What the tariff says.
pub(super) const PER_KWH: &str = "0.50";

/// Fails on the first thing that is not as it must be. `believed` are the webhooks that were for us to act on, each with
/// its network.
pub(super) async fn check(
    database: &Database,
    story: &Story,
    networks: &[Network],
    believed: &BTreeSet<(Uuid, String)>,
) -> Result<()> {
    for (what, query) in NEVER {
        database.none(what, query).await?;
    }
    let rows = database.rows("SELECT vendor_id, webhook_id FROM vendor_reports").await?;
    let kept = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let kept: BTreeSet<(Uuid, String)> = kept.collect::<Result<_>>()?;
    if let Some(one) = kept.symmetric_difference(believed).next() {
        return Err(format!("webhook {one:?} was acted on though it must not be, or was not").into());
    }
    let rows = database.rows("SELECT id, status FROM connectors").await?;
    let shown = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let shown: HashMap<Uuid, String> = shown.collect::<Result<_>>()?;
    for (connector, word) in &story.statuses {
        let status = shown.get(connector).map(String::as_str).unwrap_or_default();
        if !ours(word).contains(&status) {
            return Err(format!("connector {connector} is {status}, and {word} was the newest").into());
        }
    }
    let sessions = sessions(database).await?;
    let expected: Vec<_> = story.charges.iter().filter(|charge| charge.driver.is_some()).collect();
    if sessions.len() != expected.len() {
        return Err(format!("{} sessions of {}", sessions.len(), expected.len()).into());
    }
    for charge in expected {
        let session = sessions.get(&(networks[charge.network].id, charge.name.clone()));
        is_as_told(charge, session.ok_or_else(|| format!("no session of {charge:?}"))?)?;
    }
    Ok(())
}

/// How many of the sessions that somebody has to pay for are billed.
pub(super) async fn billed(database: &Database) -> Result<i64> {
    database.count("SELECT count(DISTINCT session_id) FROM invoices").await
}

#[derive(Debug)]
struct Session {
    driver: Uuid,
    status: String,
    kwh: Decimal,
    amount: Decimal,
}

/// With what they cost, by their networks' names for them.
async fn sessions(database: &Database) -> Result<HashMap<(Uuid, String), Session>> {
    let row = |row: &tokio_postgres::Row| {
        let (kwh, amount): (String, String) = (row.try_get(4)?, row.try_get(5)?);
        let session = Session {
            driver: row.try_get(2)?,
            status: row.try_get(3)?,
            kwh: kwh.parse()?,
            amount: amount.parse()?,
        };
        Ok(((row.try_get(0)?, row.try_get(1)?), session))
    };
    database.rows(SESSIONS).await?.iter().map(row).collect()
}

fn is_as_told(charge: &Charge, session: &Session) -> Result<()> {
    let cost = charge.kwh * PER_KWH.parse::<Decimal>()?;
    let is_right = session.status == "COMPLETED"
        && Some(session.driver) == charge.driver
        && session.kwh == charge.kwh
        && session.amount == cost;
    if is_right { Ok(()) } else { Err(format!("{charge:?} costs {cost}, and is {session:?}").into()) }
}

/// The statuses that a network's word may be shown as.
fn ours(word: &str) -> &'static [&'static str] {
    match word {
        "AVAILABLE" => &["AVAILABLE"],
        "OCCUPIED" => &["PREPARING", "CHARGING", "SUSPENDED", "FINISHING"],
        "RESERVED" => &["RESERVED"],
        "MAINTENANCE" => &["UNAVAILABLE"],
        "FAULTED" => &["FAULTED"],
        _ => &["UNKNOWN"],
    }
}

const SESSIONS: &str = "
    SELECT told.vendor_id, told.vendor_session_id, session.user_id, session.status, session.energy_kwh::text,
           invoice.amount::text
    FROM vendor_sessions AS told
    JOIN sessions AS session ON session.id = told.session_id
    JOIN invoices AS invoice ON invoice.session_id = session.id";

/// What there must not be one row of.
const NEVER: [(&str, &str); 7] = [
    (
        "sessions without exactly one invoice",
        "SELECT session.id, count(invoice.id) FROM sessions AS session
         LEFT JOIN invoices AS invoice ON invoice.session_id = session.id GROUP BY session.id HAVING count(invoice.id) <> 1",
    ),
    (
        "sessions that were not begun and ended exactly once",
        "SELECT session.id, kind, count(told.event_id) FROM sessions AS session
         CROSS JOIN (VALUES ('SESSION_STARTED'), ('SESSION_ENDED')) AS kinds (kind)
         LEFT JOIN outbox AS told ON told.payload->>'sessionId' = session.id::text AND told.event_type = kind
         GROUP BY session.id, kind HAVING count(told.event_id) <> 1",
    ),
    ("sessions that are open", "SELECT * FROM open_sessions"),
    (
        "sessions of no network's",
        "SELECT id FROM sessions WHERE id NOT IN (SELECT session_id FROM vendor_sessions WHERE session_id IS NOT NULL)",
    ),
    (
        "wallets that are not the sum of their ledger",
        "SELECT id, wallet_balance FROM users AS account
         WHERE wallet_balance <> (SELECT COALESCE(sum(amount), 0) FROM wallet_entries WHERE user_id = account.id)",
    ),
    (
        "invoices without exactly one entry in the ledger",
        "SELECT invoice.id, invoice.amount, count(entry.id) FROM invoices AS invoice
         LEFT JOIN wallet_entries AS entry ON entry.cause = 'INVOICE' AND entry.cause_id = invoice.id::text
             AND entry.amount = -invoice.amount AND entry.user_id = invoice.user_id
         WHERE invoice.amount > 0 GROUP BY invoice.id HAVING count(entry.id) <> 1",
    ),
    (
        "a connector's events out of order",
        "SELECT * FROM (
             SELECT payload->>'connectorId' AS connector, payload->>'at' AS at,
                    lag(payload->>'at') OVER (PARTITION BY payload->>'connectorId' ORDER BY position) AS before
             FROM outbox WHERE event_type = 'CONNECTOR_STATUS_CHANGED' AND payload->>'previousStatus' IS NOT NULL
         ) AS event WHERE before > at",
    ),
];
