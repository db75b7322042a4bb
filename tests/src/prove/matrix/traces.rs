//! What nobody else may see of an owner, and what nobody else may change: every name and number of theirs, and a picture
//! of all their rows.

use serde_json::{Value, json};

use crate::Result;
use crate::accounts::Account;
use crate::prove::database::Database;

/// Every text that is one owner's alone.
pub(super) async fn markers(database: &Database, owners: [&Account; 2]) -> Result<Vec<String>> {
    let ids = json!(owners.map(|owner| &owner.id));
    let mut found: Vec<String> = Vec::new();
    for row in database.with(MARKERS, &ids).await? {
        found.push(row.try_get(0)?);
    }
    for owner in owners {
        found.extend([owner.token.clone(), owner.refresh_token.clone()]);
    }
    if found.len() < 10 {
        return Err(format!("the owner has only {found:?}").into());
    }
    Ok(found)
}

/// Those of `markers` that an answer shows, though the caller did not send them.
pub(super) fn seen<'m>(markers: &'m [String], sent: &Value, answer: &Value) -> Vec<&'m str> {
    let (sent, answer) = (sent.to_string(), answer.to_string());
    let shown = |marker: &&String| answer.contains(marker.as_str()) && !sent.contains(marker.as_str());
    markers.iter().filter(shown).map(String::as_str).collect()
}

/// A picture of everything that the owners have, and of what operators set for all.
pub(super) async fn picture(database: &Database, owners: [&Account; 2]) -> Result<String> {
    let ids = json!(owners.map(|owner| &owner.id));
    let rows = database.with(PICTURE, &ids).await?;
    Ok(rows.first().ok_or("no picture")?.try_get(0)?)
}

const MARKERS: &str = "
    WITH owner AS (SELECT value::uuid AS id FROM jsonb_array_elements_text($1::jsonb))
    SELECT DISTINCT found FROM (
        SELECT unnest(ARRAY[users.id::text, email, name, id_tag, password_hash]) FROM users JOIN owner USING (id)
        UNION ALL SELECT unnest(ARRAY[id::text, CASE WHEN model <> 'Model 3' AND length(model) > 20 THEN model END])
                  FROM vehicles WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT unnest(ARRAY[id::text, correlation_id::text]) FROM sessions
                  WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT unnest(ARRAY[id::text, number]) FROM invoices WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT id::text FROM wallet_entries WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT unnest(ARRAY[id::text, provider_ref, correlation_id::text]) FROM payments
                  WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT unnest(ARRAY[id::text, provider_ref]) FROM refunds WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT unnest(ARRAY[id::text, hold_token, correlation_id::text]) FROM bookings
                  WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT id::text FROM subscriptions WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT period.id::text FROM subscription_periods AS period
                  JOIN subscriptions ON subscriptions.id = subscription_id WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT unnest(ARRAY[event_id::text, correlation_id::text]) FROM outbox
                  WHERE payload->>'userId' IN (SELECT id::text FROM owner)
        UNION ALL SELECT letter.id::text FROM dead_letters AS letter JOIN owner ON body LIKE '%' || owner.id || '%'
    ) AS theirs (found) WHERE found IS NOT NULL";

const PICTURE: &str = "
    WITH owner AS (SELECT value::uuid AS id FROM jsonb_array_elements_text($1::jsonb)),
    thing (name, whole) AS (
        SELECT 'users', to_jsonb(users) FROM users JOIN owner USING (id)
        UNION ALL SELECT 'vehicles', to_jsonb(t) FROM vehicles AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'refresh_tokens', to_jsonb(t) FROM refresh_tokens AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'sessions', to_jsonb(t) FROM sessions AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'open_sessions', to_jsonb(t) FROM open_sessions AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'invoices', to_jsonb(t) FROM invoices AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'wallet_entries', to_jsonb(t) FROM wallet_entries AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'payments', to_jsonb(t) FROM payments AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'refunds', to_jsonb(t) FROM refunds AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'bookings', to_jsonb(t) FROM bookings AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'vendors', to_jsonb(t) FROM vendors AS t
        UNION ALL SELECT 'subscriptions', to_jsonb(t) FROM subscriptions AS t WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'notification_settings', to_jsonb(t) FROM notification_settings AS t
                  WHERE user_id IN (SELECT id FROM owner)
        UNION ALL SELECT 'dead_letters', jsonb_build_array(t.id, status) FROM dead_letters AS t
                  JOIN owner ON body LIKE '%' || owner.id || '%'
        UNION ALL SELECT 'audit_log', to_jsonb(t) FROM audit_log AS t WHERE subject IN (SELECT id::text FROM owner)
        UNION ALL SELECT 'tariffs', to_jsonb(t) FROM tariffs AS t
        UNION ALL SELECT 'plans', to_jsonb(t) FROM plans AS t
        UNION ALL SELECT 'chargers', to_jsonb(t.id) FROM chargers AS t
    )
    SELECT string_agg(name || ' ' || whole::text, E'\\n' ORDER BY name, whole::text) FROM thing";
