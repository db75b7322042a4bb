//! Access tokens: JWTs that this service alone signs (EdDSA, `at+jwt`) and its doors verify. One algorithm, one
//! issuer, one audience, one type; whatever deviates is refused.

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use shared::{Failure, MissingSetting, Role, Timestamp, UserId, setting};
use uuid::Uuid;

use crate::keys::{SigningKey, VerifyingKey, VerifyingKeys};

/// How long a token is good for.
pub(crate) const LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// Tells access tokens from any other JWT (RFC 9068).
const TYPE: &str = "at+jwt";
/// How far clocks may be apart.
pub(crate) const LEEWAY_SECONDS: i64 = 30;
/// Ours have about 500 bytes.
const MAX_BYTES: usize = 4096;

/// Who issues tokens, and for whom.
#[derive(Clone)]
pub struct Parties {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

impl Parties {
    /// From `JWT_ISSUER` and `JWT_AUDIENCE`.
    pub(crate) fn from_env() -> Result<Self, MissingSetting> {
        Ok(Self { issuer: setting("JWT_ISSUER")?, audience: setting("JWT_AUDIENCE")? })
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    roles: Vec<Role>,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    exp: i64,
    jti: Uuid,
}

/// A token for an account, good from `now` on.
pub(crate) fn sign(
    key: &SigningKey,
    parties: &Parties,
    user: UserId,
    roles: &[Role],
    now: Timestamp,
) -> Result<String, Failure> {
    let header =
        Header { typ: Some(TYPE.into()), kid: Some(key.kid.clone()), ..Header::new(Algorithm::EdDSA) };
    let claims = Claims {
        iss: parties.issuer.clone(),
        aud: parties.audience.clone(),
        sub: user,
        roles: roles.to_vec(),
        iat: now.timestamp(),
        nbf: None,
        exp: (now + LIFETIME).timestamp(),
        jti: Uuid::new_v4(),
    };
    jsonwebtoken::encode(&header, &claims, &key.key).map_err(Failure::fault)
}

/// What a good token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub user: UserId,
    /// What it allows, at least one.
    pub roles: Vec<Role>,
    /// Seconds until it expires; none below zero, even within the leeway.
    pub seconds_left: i64,
}

/// Why a token proves nothing. For our logs: whoever sent it is told no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejected(&'static str);

/// Verifies tokens against the published keys.
pub struct AccessTokenVerifier {
    keys: VerifyingKeys,
    parties: Parties,
}

impl AccessTokenVerifier {
    /// From `JWT_ISSUER`, `JWT_AUDIENCE` and the settings of [`VerifyingKeys::from_env`].
    pub fn from_env(config: &aws_config::SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(VerifyingKeys::from_env(config)?, Parties::from_env()?))
    }

    /// Verifies with `keys` what `parties` issue and take.
    pub fn new(keys: VerifyingKeys, parties: Parties) -> Self {
        Self { keys, parties }
    }

    /// What `token` proves; fails only when there are no keys to tell by.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Result<Verified, Rejected>, Failure> {
        let kid = match key_id(token) {
            Ok(kid) => kid,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let keys = self.keys.with(&kid, now).await?;
        Ok(verify(token, &kid, &keys, &self.parties, now))
    }
}

/// The key that the token says it was signed with, if its header is one that we write.
fn key_id(token: &str) -> Result<String, Rejected> {
    if token.len() > MAX_BYTES {
        return Err(Rejected("too long"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Rejected("no JWT header"))?;
    let kid = header.kid.clone().ok_or(Rejected("no key id"))?;
    // Compared whole: a header that brings keys, URLs or critical extensions is not ours.
    let ours = Header { typ: Some(TYPE.into()), kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
    if header == ours { Ok(kid) } else { Err(Rejected("not our header")) }
}

fn verify(
    token: &str,
    kid: &str,
    keys: &[VerifyingKey],
    parties: &Parties,
    now: Timestamp,
) -> Result<Verified, Rejected> {
    let key = keys.iter().find(|key| key.kid == kid).ok_or(Rejected("an unknown key"))?;
    // The library checks the signature; the claims are checked below, by the caller's clock and without its
    // readiness to take lists and fractions.
    let mut signature_only = Validation::new(Algorithm::EdDSA);
    signature_only.required_spec_claims.clear();
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &signature_only)
        .map_err(|_| Rejected("a bad signature or claims that are not ours"))?
        .claims;
    let now = now.timestamp();
    let is_soon = |moment: i64| moment <= now.saturating_add(LEEWAY_SECONDS);
    if claims.iss != parties.issuer {
        Err(Rejected("another issuer"))
    } else if claims.aud != parties.audience {
        Err(Rejected("another audience"))
    } else if claims.roles.is_empty() {
        Err(Rejected("no roles"))
    } else if !is_soon(claims.iat) || !is_soon(claims.nbf.unwrap_or(claims.iat)) {
        Err(Rejected("from the future"))
    } else if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
        Err(Rejected("expired"))
    } else {
        let seconds_left = claims.exp.saturating_sub(now).max(0);
        Ok(Verified { user: claims.sub, roles: claims.roles, seconds_left })
    }
}

#[cfg(test)]
#[path = "access_token_tests.rs"]
mod tests;
