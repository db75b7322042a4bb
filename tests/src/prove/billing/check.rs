//! What must be true of the books when everything was told.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use uuid::Uuid;

use super::world::{Session, Wallet, World};
use crate::Result;
use crate::prove::database::Database;

/// Fails on the first thing that is not as it must be.
pub(super) async fn books(database: &Database, world: &World) -> Result<()> {
    for (what, query) in NEVER {
        database.none(what, query).await?;
    }
    let invoices = invoices(database).await?;
    if invoices.len() != world.sessions.len() {
        return Err(format!("{} invoices for {} sessions", invoices.len(), world.sessions.len()).into());
    }
    let amount = |session: &Session| {
        invoices.get(&session.id).ok_or_else(|| format!("session {} has no invoice", session.id))
    };
    let wallets = wallets(database).await?;
    for (number, driver) in world.drivers.iter().enumerate() {
        let (mut owed, mut paid, mut least_unpaid) = (Decimal::ZERO, Decimal::ZERO, Decimal::MAX);
        for session in world.sessions_of(number) {
            let Invoice { amount, is_paid } = *amount(session)?;
            if !driver.flat && amount != session.cost() {
                let id = session.id;
                return Err(format!("session {id} costs {}, and {amount} was billed", session.cost()).into());
            }
            owed += amount;
            if is_paid {
                paid += amount;
            } else {
                least_unpaid = least_unpaid.min(amount);
            }
        }
        let Holding { balance, used } = wallets.get(&driver.id).ok_or("a driver is gone")?;
        let (balance, used) = (*balance, *used);
        let wrong = |what: &str| Err(format!("driver {number} ({driver:?}): {what}").into());
        if owed != world.owed(number) {
            return wrong(&format!("owes {}, and {owed} was billed", world.owed(number)));
        }
        if used != world.covered(number) {
            return wrong(&format!("used {used} kWh of the flat rate, not {}", world.covered(number)));
        }
        let charged = match driver.wallet {
            Wallet::Full => owed,
            Wallet::Tight => paid,
            Wallet::Empty | Wallet::Foreign => Decimal::ZERO,
        };
        if balance != driver.initial - charged || balance < Decimal::ZERO {
            return wrong(&format!("{balance} is left, not {} - {charged}", driver.initial));
        }
        // A wallet only shrinks here: what it could pay at the end it could have paid at any time.
        if driver.wallet != Wallet::Foreign && least_unpaid <= balance {
            return wrong(&format!("{least_unpaid} is unpaid beside {balance}"));
        }
    }
    Ok(())
}

struct Invoice {
    amount: Decimal,
    is_paid: bool,
}

async fn invoices(database: &Database) -> Result<BTreeMap<Uuid, Invoice>> {
    let rows = database.rows("SELECT session_id, amount::text, status = 'PAID' FROM invoices").await?;
    let invoice = |row: &tokio_postgres::Row| {
        let amount: String = row.try_get(1)?;
        Ok((row.try_get(0)?, Invoice { amount: amount.parse()?, is_paid: row.try_get(2)? }))
    };
    rows.iter().map(invoice).collect()
}

struct Holding {
    balance: Decimal,
    used: Decimal,
}

async fn wallets(database: &Database) -> Result<BTreeMap<Uuid, Holding>> {
    let query =
        "SELECT account.id, wallet_balance::text, COALESCE(sum(used_kwh), 0)::text FROM users AS account
                 LEFT JOIN subscriptions ON subscriptions.user_id = account.id
                 LEFT JOIN subscription_periods ON subscription_id = subscriptions.id GROUP BY account.id";
    let holding = |row: &tokio_postgres::Row| {
        let (balance, used): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        Ok((row.try_get(0)?, Holding { balance: balance.parse()?, used: used.parse()? }))
    };
    database.rows(query).await?.iter().map(holding).collect()
}

/// What there must not be one row of.
const NEVER: [(&str, &str); 9] = [
    (
        "sessions without exactly one invoice",
        "SELECT session.id, count(invoice.id) FROM sessions AS session
         LEFT JOIN invoices AS invoice ON invoice.session_id = session.id GROUP BY session.id HAVING count(invoice.id) <> 1",
    ),
    (
        "sessions whose cost is not their invoice's",
        "SELECT session.id, session.cost, invoice.amount FROM sessions AS session
         JOIN invoices AS invoice ON invoice.session_id = session.id
         WHERE session.cost IS DISTINCT FROM invoice.amount OR session.currency <> invoice.currency",
    ),
    (
        "invoices whose lines do not add up",
        "SELECT invoice.id, invoice.amount, sum(line.amount) FROM invoices AS invoice
         LEFT JOIN invoice_lines AS line ON line.invoice_id = invoice.id
         GROUP BY invoice.id HAVING sum(line.amount) IS DISTINCT FROM invoice.amount",
    ),
    (
        "number series with a gap",
        "SELECT left(number, 7) AS series, count(*), max(split_part(number, '-', 3)::bigint) FROM invoices
         GROUP BY left(number, 7)
         HAVING count(DISTINCT number) <> max(split_part(number, '-', 3)::bigint)
             OR min(split_part(number, '-', 3)::bigint) <> 1 OR count(*) <> count(DISTINCT number)",
    ),
    (
        "wallets that are not the sum of their ledger",
        "SELECT id, wallet_balance FROM users AS account
         WHERE wallet_balance <> (SELECT COALESCE(sum(amount), 0) FROM wallet_entries WHERE user_id = account.id)",
    ),
    (
        "ledger lines that do not follow from the ones before",
        "SELECT id, balance, running FROM (
             SELECT id, balance, sum(amount) OVER (PARTITION BY user_id ORDER BY position) AS running FROM wallet_entries
         ) AS entry WHERE balance <> running",
    ),
    (
        "invoices paid from the wallet without exactly one entry",
        "SELECT invoice.id, invoice.amount FROM invoices AS invoice
         LEFT JOIN wallet_entries AS entry ON entry.cause = 'INVOICE' AND entry.cause_id = invoice.id::text
         WHERE (invoice.status = 'PAID' AND invoice.amount > 0) <> (entry.id IS NOT NULL)
             OR entry.amount <> -invoice.amount OR entry.user_id <> invoice.user_id",
    ),
    (
        "invoices that were not told of exactly once",
        "SELECT invoice.id, count(told.event_id) FROM invoices AS invoice
         LEFT JOIN outbox AS told ON told.payload->>'invoiceId' = invoice.id::text
             AND told.event_type IN ('PAYMENT_COMPLETED', 'INVOICE_GENERATED')
         GROUP BY invoice.id HAVING count(told.event_id) <> 1",
    ),
    ("events that the bus never got", "SELECT event_id, event_type FROM outbox WHERE published_at IS NULL"),
];
