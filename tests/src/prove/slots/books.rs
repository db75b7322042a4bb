//! What must be true when everybody is done: of bookings, money, the provider's own lists, and holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::client::Journal;
use super::field::taken;
use super::provider::Provider;
use super::redis::OwnRedis;
use crate::Result;
use crate::prove::cast::Cast;
use crate::prove::database::Database;

/// Money that cards saw.
pub(super) struct Cards {
    pub(super) charges: usize,
    pub(super) refunds: usize,
}

/// Refusals that a driver can act on.
const CLEAR: [&str; 9] = [
    "CONFIRMED",
    "PENDING",
    "CANCELLED",
    "PAYMENT_FAILED",
    "RELEASED",
    "SLOT_TAKEN",
    "HOLD_EXPIRED",
    "NOT_FOUND",
    "LIMITED",
];

/// What must find nothing.
const WRONG: [(&str, &str); 7] = [
    (
        "wallets that are not what their entries say",
        "SELECT id, wallet_balance FROM users WHERE wallet_balance <> (
             SELECT COALESCE(sum(amount), 0) FROM wallet_entries WHERE user_id = users.id)",
    ),
    (
        "wallets that paid for what they do not have",
        "SELECT id, wallet_balance FROM users WHERE (
             SELECT COALESCE(sum(amount), 0) FROM wallet_entries WHERE user_id = users.id AND cause = 'CREDIT'
         ) - wallet_balance <> (
             SELECT COALESCE(sum(price), 0) FROM bookings
             WHERE user_id = users.id AND status = 'CONFIRMED' AND payment_id IS NULL
         )",
    ),
    (
        "payments without a booking",
        "SELECT id, status FROM payments WHERE NOT EXISTS (
             SELECT FROM bookings WHERE payment_id = payments.id AND id = payments.booking_id
                 AND user_id = payments.user_id AND price = payments.amount
                 AND (payments.status = 'SUCCEEDED') = (bookings.invoice_id IS NOT NULL))",
    ),
    (
        "bookings without one paid invoice",
        "SELECT id, status FROM bookings WHERE status = 'CONFIRMED' AND 1 <> (
             SELECT count(*) FROM invoices
             WHERE kind = 'BOOKING' AND (booking_id = bookings.id OR id = bookings.invoice_id)
                 AND id = bookings.invoice_id AND booking_id = bookings.id AND status = 'PAID'
                 AND amount = bookings.price AND paid_amount = bookings.price AND refunded_amount = 0)",
    ),
    (
        "cancelled bookings that cost something",
        "SELECT id, reason FROM bookings WHERE status = 'CANCELLED' AND NOT CASE
             WHEN invoice_id IS NULL THEN refunded = 0
                 AND NOT EXISTS (SELECT FROM payments WHERE id = payment_id AND status <> 'FAILED')
             ELSE refunded = price AND EXISTS (
                 SELECT FROM invoices WHERE id = invoice_id AND status = 'REFUNDED' AND refunded_amount = price)
         END",
    ),
    (
        "invoices of no booking",
        "SELECT id, kind FROM invoices WHERE kind = 'BOOKING'
             AND NOT EXISTS (SELECT FROM bookings WHERE invoice_id = invoices.id AND id = invoices.booking_id)",
    ),
    ("bookings that are neither had nor cancelled", "SELECT id, status FROM bookings
         WHERE status NOT IN ('CONFIRMED', 'CANCELLED')"),
];

/// How many bookings there are; no two of them overlap.
pub(super) async fn sold(cast: &Cast<'_>) -> Result<usize> {
    let taken = taken(cast).await?;
    for (place, one) in taken.iter().enumerate() {
        if let Some(other) = taken[place + 1..].iter().find(|other| other.overlaps(one)) {
            return Err(format!("sold twice: {one:?} and {other:?}").into());
        }
    }
    Ok(taken.len())
}

/// Bookings, payments, invoices and wallets agree.
pub(super) async fn are_right(database: &Database) -> Result<()> {
    for (what, query) in WRONG {
        database.none(what, query).await?;
    }
    Ok(())
}

/// Everybody has what they were told, and nobody has what they were not told.
pub(super) async fn are_as_told(database: &Database, journals: &[Journal]) -> Result<()> {
    let rows = database.rows("SELECT id::text, user_id::text, status FROM bookings").await?;
    let mut bookings = BTreeMap::<String, (String, String)>::new();
    for row in rows {
        bookings.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
    }
    let query = "SELECT hold_token, id::text, user_id::text FROM bookings
                 WHERE status = 'CANCELLED' AND reason <> 'DRIVER'";
    let mut failed = BTreeMap::<String, (String, String)>::new();
    for row in database.rows(query).await? {
        failed.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
    }
    for Journal { user, last, bookings: told, unpaid, .. } in journals {
        if !CLEAR.contains(&last.as_str()) {
            return Err(format!("{user} was told {last} at last").into());
        }
        for (id, status) in told {
            let (owner, is) = bookings.get(id).ok_or_else(|| format!("there is no booking {id}"))?;
            // A card's charge that had not ended then has by now, one way or the other.
            if owner != user || (is != status && status != "PENDING") {
                return Err(format!("{user} was told {status} of {id}, which is {is}").into());
            }
        }
        let mut told: BTreeSet<_> = told.iter().map(|(id, _)| id).collect();
        for token in unpaid {
            match failed.get(token) {
                Some((id, owner)) if owner == user => told.insert(id),
                other => {
                    return Err(format!("{user} was told that {token} is not paid, it is {other:?}").into());
                }
            };
        }
        let untold = bookings.iter().find(|(id, (owner, _))| owner == user && !told.contains(id));
        if let Some((id, (_, status))) = untold {
            return Err(format!("{user} was never told of {id}, which is {status}").into());
        }
    }
    Ok(())
}

/// Every charge and refund of the provider is one of ours, and the other way round.
pub(super) async fn are_the_providers(database: &Database, provider: &Provider) -> Result<Cards> {
    let succeeded = |list: Vec<Value>, names: &str, owner: &str| {
        let done = list.into_iter().filter(|one| one["status"] == "succeeded");
        let mut told: Vec<_> = done
            .map(|one| {
                format!("{} {} {}", one[names].as_str().unwrap_or("?"), one["amount"], one["metadata"][owner])
            })
            .collect();
        told.sort();
        told
    };
    let intents = succeeded(provider.all("payment_intents").await?, "id", "payment_id");
    let ours = "SELECT concat_ws(' ', provider_ref, (from_card * 100)::bigint, to_json(id)) FROM payments
                WHERE status = 'SUCCEEDED'";
    same("charges", &intents, database.texts(ours).await?)?;
    let charges = provider.all("charges").await?;
    let charged = charges.iter().filter(|charge| charge["status"] == "succeeded").count();
    if charged != intents.len() {
        return Err(format!("the provider has {charged} charges of {} intents", intents.len()).into());
    }
    let refunds = succeeded(provider.all("refunds").await?, "payment_intent", "refund_id");
    let ours = "SELECT concat_ws(' ', p.provider_ref, (r.to_card * 100)::bigint, to_json(r.id))
                FROM refunds AS r JOIN payments AS p ON p.id = r.payment_id
                WHERE r.status = 'SUCCEEDED' AND r.to_card > 0";
    same("refunds", &refunds, database.texts(ours).await?)?;
    Ok(Cards { charges: intents.len(), refunds: refunds.len() })
}

fn same(what: &str, theirs: &[String], mut ours: Vec<String>) -> Result<()> {
    ours.sort();
    if *theirs == ours {
        return Ok(());
    }
    let only = |some: &[String], others: &[String]| {
        some.iter().filter(|one| !others.contains(one)).cloned().collect::<Vec<_>>().join(", ")
    };
    let (theirs, ours) = (only(theirs, &ours), only(&ours, theirs));
    Err(format!("{what}: the provider alone has [{theirs}], we alone have [{ours}]").into())
}

/// No hold that was given back, or spent, keeps anybody away: neither in Redis nor in the database.
pub(super) async fn nobody_holds(database: &Database, redis: &OwnRedis, journals: &[Journal]) -> Result<()> {
    let now = chrono::Utc::now().timestamp_millis();
    for journal in journals {
        let key = format!("user:{}:holds", journal.user);
        let text = redis.text(&key).await?;
        let lapses = |entry: &str| entry.rsplit(' ').next().and_then(|lapses| lapses.parse::<i64>().ok());
        if let Some(live) = text.split(';').find(|entry| lapses(entry).is_some_and(|lapses| lapses > now)) {
            return Err(format!("Redis still holds {live} for {}: {journal:?}", journal.user).into());
        }
    }
    let released: Vec<_> = journals.iter().flat_map(|journal| &journal.released).collect();
    let query = "SELECT token FROM slot_holds WHERE expires_at > now()
                     AND NOT EXISTS (SELECT FROM bookings WHERE hold_token = token)
                     AND ($1::jsonb ? token OR user_id IN (SELECT id FROM users))";
    let live = database.with(query, &json!(released)).await?;
    match live.first() {
        None => Ok(()),
        Some(row) => Err(format!("the database still holds {}", row.try_get::<_, String>(0)?).into()),
    }
}
