//! Fifty apps that hold one refresh token and all spend it at once: one login goes on. Whoever shows the spent token
//! later ends it.

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::database::Database;
use super::place::{Needs, Place};
use super::{Proof, Size};
use crate::Result;
use crate::accounts::Account;
use crate::graphql::GraphQLError;
use crate::stack::Stack;

const RACERS: usize = 50;
const REFRESH: &str =
    "mutation($token: String!) { refreshToken(refreshToken: $token) { refreshToken accessToken } }";

/// One live child of every race; none after the theft.
pub(super) async fn run(size: Size, place: &Place) -> Result<Proof> {
    place.prove("refresh", Needs::default(), async |own| prove(size, &own.stack).await).await
}

async fn prove(size: Size, stack: &Stack) -> Result<Proof> {
    let (rounds, database) = (size.of(2, 20), Database::of(stack).await?);
    let driver = Account::driver(stack, "Rita Racer").await?;
    for _ in 0..rounds {
        round(stack, &database, &Account::login(stack, &driver.email).await?).await?;
    }
    let reused = "SELECT count(*) FROM audit_log WHERE action = 'REFRESH_TOKEN_REUSED'";
    if database.count(reused).await? != i64::from(rounds) {
        return Err("a theft was not kept in the audit log".into());
    }
    Ok(Proof {
        name: "refresh",
        figure: format!("{rounds} races of {RACERS}: one live child each; after later reuse none"),
    })
}

async fn round(stack: &Stack, database: &Database, login: &Account) -> Result<()> {
    let spent = &login.refresh_token;
    let answers = try_join_all((0..RACERS).map(|_| refresh(stack, spent))).await?;
    let given = answers.into_iter().collect::<std::result::Result<Vec<_>, _>>();
    let given = given.map_err(|error| format!("a racer was refused: {error:?}"))?;
    let family = format!(
        "SELECT family_id FROM refresh_tokens WHERE token_hash = sha256(convert_to('{spent}', 'UTF8'))"
    );
    let live = format!(
        "SELECT encode(token_hash, 'hex') FROM refresh_tokens WHERE family_id = ({family})
         AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()"
    );
    let children = database.texts(&live).await?;
    if children.len() != 1 {
        return Err(format!("{} racers made {} live children", given.len(), children.len()).into());
    }

    // The one that lives is one that was given away, and it works.
    let hash = "SELECT encode(sha256(convert_to(given, 'UTF8')), 'hex')
         FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS given (given, place) ORDER BY place";
    let hashes = database.with(hash, &json!(given)).await?;
    let place =
        hashes.iter().position(|row| row.try_get::<_, String>(0).is_ok_and(|hash| hash == children[0]));
    let child = &given[place.ok_or("nobody was given the child that lives")?];
    let next = refresh(stack, child).await?.map_err(|error| format!("the child is dead: {error:?}"))?;
    if database.texts(&live).await?.len() != 1 {
        return Err("the child's refresh did not leave one live token".into());
    }

    // Ten seconds pass; then somebody shows the spent token.
    let age = format!(
        "UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds' WHERE family_id = ({family})"
    );
    database.rows(&age).await?;
    for (whose, token) in [("the thief", spent), ("the owner", &next), ("a racer", child)] {
        match refresh(stack, token).await? {
            Err(error) if error.error_type.as_deref() == Some("Unauthenticated") => {}
            other => return Err(format!("{whose} refreshed after the theft: {other:?}").into()),
        }
        let left = database.texts(&live).await?.len();
        if left != 0 {
            return Err(format!("{left} tokens live after the theft").into());
        }
    }
    Ok(())
}

/// The new refresh token, or why there is none. A function that was too busy is asked again, as an app would.
async fn refresh(stack: &Stack, token: &str) -> Result<std::result::Result<String, GraphQLError>> {
    loop {
        let (_, answer) = stack.public().answer(REFRESH, json!({ "token": token })).await?;
        if let Some(fresh) = answer["data"]["refreshToken"]["refreshToken"].as_str() {
            return Ok(Ok(fresh.to_owned()));
        }
        let first: Value = answer["errors"][0].clone();
        let error: GraphQLError =
            serde_json::from_value(first).map_err(|_| format!("no answer: {answer}"))?;
        if !error.is_of_lambda() {
            return Ok(Err(error));
        }
    }
}
