//! Forged and odd access tokens at every door: none is let in. The corpus is the user context's own.

#[path = "../../../functions/user/tests/forged/mod.rs"]
mod forged;

use forged::Issuer;
use rcgen::{KeyPair, PKCS_ED25519};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::Proof;
use super::database::Database;
use super::place::{Needs, Place};
use crate::Result;
use crate::accounts::Account;
use crate::graphql::{Auth, Client};
use crate::realtime::Subscription;
use crate::stack::Stack;

const WATCH: &str = "subscription($id: ID!) { onSessionStatusChanged(sessionId: $id) { status } }";

/// Everybody stays outside but who has a token of ours.
pub(super) async fn run(place: &Place) -> Result<Proof> {
    place.prove("tokens", Needs::default(), async |own| prove(&own.stack).await).await
}

async fn prove(stack: &Stack) -> Result<Proof> {
    let driver = Account::driver(stack, "Tara Token").await?;
    let issuer = issuer(stack, &driver).await?;
    let doors = Doors { stack, session: session(stack, &driver).await?, good: issuer.good() };
    // Else the corpus would prove nothing: the same hand makes a token that is good.
    let open = doors.opened_by(&issuer.good()).await?;
    if open.len() != 3 {
        return Err(format!("a good token opens only {open:?}").into());
    }
    let corpus = forged::corpus(&issuer);
    // What no header of HTTP carries, a message can; a token behind its scheme is the good one.
    let messages = forged::unsendable(&issuer).into_iter().filter(|(what, _)| *what != "its scheme");
    for (what, token) in &corpus {
        let open = doors.opened_by(token).await?;
        if !open.is_empty() {
            return Err(format!("{what} opens {open:?}: {token}").into());
        }
    }
    let mut only_messages = 0;
    for (what, token) in messages {
        let open = doors.opened_by_message(&token).await?;
        if !open.is_empty() {
            return Err(format!("{what} opens {open:?}: {token:?}").into());
        }
        only_messages += 1;
    }
    if corpus.len() < 30 {
        return Err(format!("the corpus has {} tokens", corpus.len()).into());
    }
    Ok(Proof {
        name: "tokens",
        figure: format!(
            "{} forged or odd tokens at GraphQL, at the realtime handshake and at the start of a subscription, {} more at \
             the latter two: none accepted",
            corpus.len(),
            only_messages,
        ),
    })
}

/// Who signs here, keys and all.
async fn issuer(stack: &Stack, driver: &Account) -> Result<Issuer> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Signing {
        kid: String,
        private_key: String,
    }
    let login = stack.functions.iter().find(|function| function.binary == "login");
    let variables = &login.ok_or("the stack has no login")?.variables;
    let setting =
        |name: &str| variables.get(name).cloned().ok_or_else(|| format!("the login is not told {name}"));
    let signing: Signing = serde_json::from_str(&stack.secret(&setting("JWT_SIGNING_SECRET_ARN")?).await?)?;
    let public_pem = KeyPair::from_pem(&signing.private_key)?.public_key_pem();
    Ok(Issuer {
        kid: signing.kid,
        private_pem: signing.private_key,
        public_pem,
        stranger_pem: KeyPair::generate_for(&PKCS_ED25519)?.serialize_pem(),
        issuer: setting("JWT_ISSUER")?,
        audience: setting("JWT_AUDIENCE")?,
        subject: driver.id.clone(),
        now: chrono::Utc::now().timestamp(),
    })
}

/// A session of the driver's, so that watching it fails for the token alone.
async fn session(stack: &Stack, driver: &Account) -> Result<Uuid> {
    let session = Uuid::now_v7();
    let document = json!({ "session": session, "driver": driver.id });
    let database = Database::of(stack).await?;
    database.with(SESSION, &document).await?;
    Ok(session)
}

const SESSION: &str = "
    WITH station AS (
        INSERT INTO stations (id, name, latitude, longitude, status, updated_at)
        VALUES (gen_random_uuid(), 'Gate', 0, 0, 'OPERATIONAL', now()) RETURNING id
    ), charger AS (
        INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
        SELECT gen_random_uuid(), 'CP-GATE', id, 'x', now() FROM station RETURNING id, station_id
    ), connector AS (
        INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, updated_at)
        SELECT gen_random_uuid(), station_id, id, 1, 'CCS', 50, now() FROM charger RETURNING id, station_id
    )
    INSERT INTO sessions (id, user_id, station_id, connector_id, status, remote_start_id, correlation_id, created_at,
                          updated_at)
    SELECT ($1::jsonb->>'session')::uuid, ($1::jsonb->>'driver')::uuid, station_id, id, 'COMPLETED', 1,
           gen_random_uuid(), now(), now()
    FROM connector";

struct Doors<'a> {
    stack: &'a Stack,
    session: Uuid,
    good: String,
}

impl Doors<'_> {
    /// Which doors it opens.
    async fn opened_by(&self, token: &str) -> Result<Vec<&'static str>> {
        let mut open = self.opened_by_message(token).await?;
        let client = Client::new(&self.stack.graphql_url, Auth::Token(token.to_owned()));
        let (status, answer) = client.answer("{ me { id } }", json!({})).await?;
        if status != 401 || answer["errors"][0]["errorType"] != "UnauthorizedException" {
            open.push("GraphQL");
        }
        Ok(open)
    }

    /// Which doors it opens that take it in a message of its own.
    async fn opened_by_message(&self, token: &str) -> Result<Vec<&'static str>> {
        let url = &self.stack.realtime_url;
        let watch = async |tokens: (&str, &str)| {
            Subscription::attempt(url, tokens, WATCH, json!({ "id": self.session })).await
        };
        let mut open = Vec::new();
        if watch((token, token)).await? != "connection_error" {
            open.push("the realtime handshake");
        }
        if watch((&self.good, token)).await? != "error" {
            open.push("a subscription");
        }
        Ok(open)
    }
}
