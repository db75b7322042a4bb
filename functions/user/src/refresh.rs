//! Staying logged in: a refresh token is spent for the next pair of tokens.

use serde::Deserialize;
use shared::{Caller, Database, Failure};
use tracing::warn;

use crate::refresh_token::RefreshToken;
use crate::store::{self, Rotation};
use crate::tokens::{TokenIssuer, Tokens};

/// Arguments of `Mutation.refreshToken`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refresh {
    refresh_token: RefreshToken,
}

/// Trades a refresh token for new tokens. Asked again within seconds, because the answer got lost or because many asked
/// at once, it gives the same refresh token; a token that is spent any other way is stolen, and then nobody who holds a
/// token of that login can use it any more.
pub async fn refresh(
    database: &Database,
    issuer: &TokenIssuer,
    caller: &Caller,
    Refresh { refresh_token }: Refresh,
) -> Result<Tokens, Failure> {
    issuer.ready(caller.at).await?;
    let rotation = store::rotate(database, &refresh_token, caller.at, caller.correlation_id).await?;
    match rotation {
        Rotation::Rotated { seed, account } => {
            issuer.issue(*account, refresh_token.successor(&seed), caller.at).await
        }
        Rotation::Reused => {
            warn!("a spent refresh token came back: its login was ended");
            Err(Failure::Unauthenticated("log in again"))
        }
        Rotation::Unknown | Rotation::Expired | Rotation::Revoked => {
            Err(Failure::Unauthenticated("log in again"))
        }
    }
}
