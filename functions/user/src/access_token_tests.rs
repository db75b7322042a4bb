//! What an access token may look like, and a corpus of those that it may not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use jsonwebtoken::EncodingKey;
use serde_json::json;

use super::*;

#[path = "../tests/forged/mod.rs"]
mod forged;

use forged::{Issuer, corpus, signed, unsendable, with};

const NOW: i64 = 1_770_000_000;

struct World {
    issuer: Issuer,
    keys: Vec<VerifyingKey>,
}

fn pair() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()
}

fn world() -> World {
    let ours = pair();
    let issuer = Issuer {
        kid: "2026-02".into(),
        private_pem: ours.serialize_pem(),
        public_pem: ours.public_key_pem(),
        stranger_pem: pair().serialize_pem(),
        issuer: "ev".into(),
        audience: "ev-app".into(),
        subject: "018f0000-0000-7000-8000-000000000001".into(),
        now: NOW,
    };
    let secret = json!({ "keys": [{ "kid": "2026-02", "publicKey": issuer.public_pem }] });
    World { keys: VerifyingKey::parse_all(&secret.to_string()).unwrap(), issuer }
}

fn parties() -> Parties {
    Parties { issuer: "ev".into(), audience: "ev-app".into() }
}

fn check(world: &World, token: &str) -> Result<Verified, Rejected> {
    let kid = key_id(token)?;
    verify(token, &kid, &world.keys, &parties(), Timestamp::from_timestamp(NOW, 0).unwrap())
}

#[test]
fn what_was_signed_is_verified() {
    let world = world();
    let key = EncodingKey::from_ed_pem(world.issuer.private_pem.as_bytes()).unwrap();
    let key = SigningKey { kid: "2026-02".into(), key };
    let (user, now) = (UserId::new(), Timestamp::from_timestamp(NOW, 0).unwrap());
    let token = sign(&key, &parties(), user, &[Role::Driver, Role::Operator], now).unwrap();
    assert!(token.len() < 600, "{}", token.len());
    let verified = check(&world, &token).unwrap();
    assert_eq!(verified, Verified { user, roles: vec![Role::Driver, Role::Operator], seconds_left: 900 });
}

#[test]
fn clocks_may_be_thirty_seconds_apart_and_no_more() {
    let world = world();
    let check = |changes| check(&world, &world.issuer.with_claims(changes));
    assert_eq!(check(json!({ "exp": NOW - 29 })).unwrap().seconds_left, 0);
    assert_eq!(check(json!({ "exp": NOW - 30 })), Err(Rejected("expired")));
    assert!(check(json!({ "nbf": NOW + 30 })).is_ok());
    assert_eq!(check(json!({ "nbf": NOW + 31 })), Err(Rejected("from the future")));
    assert!(check(json!({ "iat": NOW + 30 })).is_ok());
    assert_eq!(check(json!({ "iat": NOW + 31 })), Err(Rejected("from the future")));
}

#[test]
fn each_key_of_a_rotation_verifies() {
    let World { issuer, .. } = world();
    let next = pair();
    let secret = json!({ "keys": [
        { "kid": "2026-02", "publicKey": issuer.public_pem }, { "kid": "2026-03", "publicKey": next.public_key_pem() },
    ] });
    let world = World { keys: VerifyingKey::parse_all(&secret.to_string()).unwrap(), issuer };
    let new = with(world.issuer.header(), json!({ "kid": "2026-03" })).to_string();
    let claims = world.issuer.claims().to_string();
    assert!(check(&world, &signed(&next.serialize_pem(), &new, claims.as_bytes())).is_ok());
    assert!(check(&world, &world.issuer.good()).is_ok());
    // A key id does not lend its name to another key.
    assert!(check(&world, &world.issuer.signed(&new, &claims)).is_err());
}

#[test]
fn no_forged_or_odd_token_proves_anything() {
    let world = world();
    assert!(check(&world, &world.issuer.good()).is_ok());
    let corpus = [corpus(&world.issuer), unsendable(&world.issuer)].concat();
    assert!(corpus.len() >= 100, "{}", corpus.len());
    let accepted: Vec<_> =
        corpus.iter().filter(|(_, token)| check(&world, token).is_ok()).map(|(what, _)| what).collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}
