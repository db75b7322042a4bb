//! Drivers by the thousand, made behind the doors: each has money and a token that the doors take. A driver may hold
//! three slots and no more, so that who measures holds needs many.

use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Deserialize;
use serde_json::json;
use shared::UserId;
use uuid::Uuid;

use crate::Result;
use crate::stack::Stack;

/// What each has in the wallet, EUR.
const MONEY: u32 = 1000;

/// One of them.
#[derive(Debug, Clone)]
pub struct Driver {
    /// The account.
    pub id: UserId,
    /// What goes after `Bearer`; good for as long as a bench may last.
    pub token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signing {
    kid: String,
    private_key: String,
}

/// So many new drivers.
pub async fn create(stack: &Stack, count: usize) -> Result<Vec<Driver>> {
    let insert = format!(
        "WITH drivers AS (
             INSERT INTO users (id, email, name, password_hash, id_tag, wallet_balance, created_at, updated_at)
             SELECT id, 'bench-' || id || '@example.com', 'Bench', '', upper(left(md5(id::text), 20)), {MONEY},
                    now(), now()
             FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, {count})) AS fresh
             RETURNING id
         ), credits AS (
             INSERT INTO wallet_entries (id, user_id, amount, currency, balance, cause, cause_id, reason, created_at)
             SELECT gen_random_uuid(), id, {MONEY}, 'EUR', {MONEY}, 'CREDIT', 'bench/' || id, 'bench', now()
             FROM drivers
         )
         SELECT id::text FROM drivers"
    );
    let rows = stack.sql(&insert).await?;
    let login = stack.functions.iter().find(|function| function.binary == "login");
    let variables = &login.ok_or("the stack has no login")?.variables;
    let setting = |name: &str| variables.get(name).ok_or_else(|| format!("the login is not told {name}"));
    let signing: Signing = serde_json::from_str(&stack.secret(setting("JWT_SIGNING_SECRET_ARN")?).await?)?;
    let (issuer, audience) = (setting("JWT_ISSUER")?, setting("JWT_AUDIENCE")?);
    let key = EncodingKey::from_ed_pem(signing.private_key.as_bytes())?;
    let header =
        Header { typ: Some("at+jwt".into()), kid: Some(signing.kid), ..Header::new(Algorithm::EdDSA) };
    let now = Utc::now();
    rows.iter()
        .map(|row| {
            let id: &str = row.try_get(0)?;
            let claims = json!({
                "iss": issuer, "aud": audience, "sub": id, "roles": ["DRIVER"], "iat": now.timestamp() - 60,
                "exp": (now + TimeDelta::minutes(14)).timestamp(), "jti": Uuid::new_v4(),
            });
            Ok(Driver { id: id.parse()?, token: encode(&header, &claims, &key)? })
        })
        .collect()
}
