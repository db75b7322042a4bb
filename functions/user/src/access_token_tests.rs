//! What an access token may look like, and a corpus of those that it may not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_770_000_000;

struct Pair {
    private: EncodingKey,
    public_pem: String,
}

fn pair() -> Pair {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let private = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
    Pair { private, public_pem: pair.public_key_pem() }
}

/// The service that issues (`ours`), and somebody else with a key of their own.
struct World {
    ours: Pair,
    theirs: Pair,
    keys: Vec<VerifyingKey>,
}

fn world() -> World {
    let (ours, theirs) = (pair(), pair());
    let secret = json!({ "keys": [{ "kid": "2026-02", "publicKey": ours.public_pem }] });
    let keys = VerifyingKey::parse_all(&secret.to_string()).unwrap();
    World { ours, theirs, keys }
}

fn parties() -> Parties {
    Parties { issuer: "ev".into(), audience: "ev-app".into() }
}

fn header() -> Value {
    json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "2026-02" })
}

fn claims() -> Value {
    json!({
        "iss": "ev", "aud": "ev-app", "sub": "018f0000-0000-7000-8000-000000000001", "roles": ["DRIVER"],
        "iat": NOW - 60, "exp": NOW + 840, "jti": "7f2c1b1e-9a0e-4d7e-8a52-0d5a3c1f7a11",
    })
}

/// `base` with `changes` laid over it; null removes.
fn with(mut base: Value, changes: Value) -> Value {
    let (base_fields, Value::Object(changes)) = (base.as_object_mut().unwrap(), changes) else {
        unreachable!()
    };
    for (name, value) in changes {
        if value.is_null() {
            base_fields.remove(&name)
        } else {
            base_fields.insert(name, value)
        };
    }
    base
}

fn signed(pair: &Pair, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &pair.private, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn check(world: &World, token: &str) -> Result<Verified, Rejected> {
    let kid = key_id(token)?;
    verify(token, &kid, &world.keys, &parties(), Timestamp::from_timestamp(NOW, 0).unwrap())
}

#[test]
fn what_was_signed_is_verified() {
    let world = world();
    let key = SigningKey { kid: "2026-02".into(), key: world.ours.private.clone() };
    let (user, now) = (UserId::new(), Timestamp::from_timestamp(NOW, 0).unwrap());
    let token = sign(&key, &parties(), user, &[Role::Driver, Role::Operator], now).unwrap();
    assert!(token.len() < 600, "{}", token.len());
    let verified = check(&world, &token).unwrap();
    assert_eq!(verified, Verified { user, roles: vec![Role::Driver, Role::Operator], seconds_left: 900 });
}

#[test]
fn clocks_may_be_thirty_seconds_apart_and_no_more() {
    let world = world();
    let check = |changes| {
        check(&world, &signed(&world.ours, &header().to_string(), &with(claims(), changes).to_string()))
    };
    assert_eq!(check(json!({ "exp": NOW - 29 })).unwrap().seconds_left, 0);
    assert_eq!(check(json!({ "exp": NOW - 30 })), Err(Rejected("expired")));
    assert!(check(json!({ "nbf": NOW + 30 })).is_ok());
    assert_eq!(check(json!({ "nbf": NOW + 31 })), Err(Rejected("from the future")));
    assert!(check(json!({ "iat": NOW + 30 })).is_ok());
    assert_eq!(check(json!({ "iat": NOW + 31 })), Err(Rejected("from the future")));
}

#[test]
fn each_key_of_a_rotation_verifies() {
    let world = world();
    let next = pair();
    let secret = json!({ "keys": [
        { "kid": "2026-02", "publicKey": world.ours.public_pem }, { "kid": "2026-03", "publicKey": next.public_pem },
    ] });
    let world = World { keys: VerifyingKey::parse_all(&secret.to_string()).unwrap(), ..world };
    let new = with(header(), json!({ "kid": "2026-03" })).to_string();
    assert!(check(&world, &signed(&next, &new, &claims().to_string())).is_ok());
    assert!(check(&world, &signed(&world.ours, &header().to_string(), &claims().to_string())).is_ok());
    // A key id does not lend its name to another key.
    assert!(check(&world, &signed(&world.ours, &new, &claims().to_string())).is_err());
}

#[test]
fn no_forged_or_odd_token_proves_anything() {
    let world = world();
    let ours = &world.ours;
    let (good_header, good_claims) = (header().to_string(), claims().to_string());
    let good = signed(ours, &good_header, &good_claims);
    assert!(check(&world, &good).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let [h, c, s] = parts[..] else { unreachable!() };

    let of_header = |changes| signed(ours, &with(header(), changes).to_string(), &good_claims);
    let of_claims = |changes| signed(ours, &good_header, &with(claims(), changes).to_string());
    let with_secret = |alg, secret: &[u8]| {
        let header = Header { typ: Some(TYPE.into()), kid: Some("2026-02".into()), ..Header::new(alg) };
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let raw_key = STANDARD.decode(ours.public_pem.lines().nth(1).unwrap()).unwrap();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let unsigned = |alg: &str| encode(&with(header(), json!({ "alg": alg })).to_string());

    let mut flipped = s.to_owned();
    flipped.replace_range(10..11, if &s[10..11] == "A" { "B" } else { "A" });
    let other_claims = encode(&with(claims(), json!({ "roles": ["OPERATOR"] })).to_string());
    let twice =
        |name: &str, value: &str| format!("{},\"{name}\":{value}}}", &good_claims[..good_claims.len() - 1]);

    let corpus: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("spaces", "   ".into()),
        ("dots", "..".into()),
        ("no token", "hello".into()),
        ("unicode", "ünïcödé.tökén.🔑".into()),
        ("a NUL", format!("{good}\0")),
        ("a line break", format!("{good}\n")),
        ("a leading space", format!(" {good}")),
        ("a refresh token", URL_SAFE_NO_PAD.encode([7; 32])),
        ("two parts", format!("{h}.{c}")),
        ("no signature", format!("{h}.{c}.")),
        ("four parts", format!("{good}.{s}")),
        ("five parts (JWE)", format!("{h}.{c}.{s}.{c}.{s}")),
        ("JSON serialization", json!({ "payload": c, "protected": h, "signature": s }).to_string()),
        ("truncated", good[..good.len() - 4].into()),
        ("padded", format!("{good}=")),
        ("a changed signature", format!("{h}.{c}.{flipped}")),
        ("a signature of zeros", format!("{h}.{c}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        ("changed claims", format!("{h}.{other_claims}.{s}")),
        ("swapped parts", format!("{c}.{h}.{s}")),
        ("standard base64", format!("{h}.{c}.{}", STANDARD.encode(URL_SAFE_NO_PAD.decode(s).unwrap()))),
        ("alg none", format!("{}.{c}.", unsigned("none"))),
        ("alg None", format!("{}.{c}.", unsigned("None"))),
        ("alg none, signed", of_header(json!({ "alg": "none" }))),
        ("no alg", of_header(json!({ "alg": null }))),
        ("alg HS256 under the public key's PEM", with_secret(Algorithm::HS256, ours.public_pem.as_bytes())),
        ("alg HS256 under the public key's bytes", with_secret(Algorithm::HS256, &raw_key)),
        ("alg HS512 under nothing", with_secret(Algorithm::HS512, b"")),
        ("alg ES256", of_header(json!({ "alg": "ES256" }))),
        ("alg RS256", of_header(json!({ "alg": "RS256" }))),
        ("alg Ed25519", of_header(json!({ "alg": "Ed25519" }))),
        ("alg a list", of_header(json!({ "alg": ["EdDSA"] }))),
        ("an ID token", of_header(json!({ "typ": "JWT" }))),
        ("no typ", of_header(json!({ "typ": null }))),
        ("typ in capitals", of_header(json!({ "typ": "AT+JWT" }))),
        ("no kid", of_header(json!({ "kid": null }))),
        ("an unknown kid", of_header(json!({ "kid": "2025-01" }))),
        ("a path as kid", of_header(json!({ "kid": "../../dev/null" }))),
        ("a number as kid", of_header(json!({ "kid": 1 }))),
        ("somebody else's key", signed(&world.theirs, &good_header, &good_claims)),
        ("a key of its own (jwk)", {
            let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([1; 32]) });
            signed(&world.theirs, &with(header(), json!({ "jwk": jwk })).to_string(), &good_claims)
        }),
        ("an address of keys (jku)", of_header(json!({ "jku": "https://evil.example/jwks.json" }))),
        ("a critical extension", of_header(json!({ "crit": ["exp"] }))),
        ("an unencoded payload", of_header(json!({ "b64": false }))),
        ("compressed", of_header(json!({ "zip": "DEF" }))),
        ("kid twice", signed(ours, &good_header.replace("{", r#"{"kid":"2026-02","#), &good_claims)),
        ("a header that is a list", signed(ours, "[]", &good_claims)),
        ("another issuer", of_claims(json!({ "iss": "evil" }))),
        ("two issuers", of_claims(json!({ "iss": ["ev", "evil"] }))),
        ("no issuer", of_claims(json!({ "iss": null }))),
        ("another audience", of_claims(json!({ "aud": "ev-vendor" }))),
        ("many audiences", of_claims(json!({ "aud": ["ev-app", "ev-vendor"] }))),
        ("no audience", of_claims(json!({ "aud": null }))),
        ("an empty audience", of_claims(json!({ "aud": "" }))),
        ("no subject", of_claims(json!({ "sub": null }))),
        ("a subject that is no id", of_claims(json!({ "sub": "ada@example.com" }))),
        ("no roles", of_claims(json!({ "roles": null }))),
        ("an empty list of roles", of_claims(json!({ "roles": [] }))),
        ("a role that does not exist", of_claims(json!({ "roles": ["ROOT"] }))),
        ("a role in small letters", of_claims(json!({ "roles": ["operator"] }))),
        ("roles as text", of_claims(json!({ "roles": "OPERATOR" }))),
        ("expired", of_claims(json!({ "exp": NOW - 31 }))),
        ("no expiry", of_claims(json!({ "exp": null }))),
        ("expiry as text", of_claims(json!({ "exp": "9999999999" }))),
        ("expiry as a fraction", of_claims(json!({ "exp": 1e12 }))),
        ("expiry below zero", of_claims(json!({ "exp": -1 }))),
        ("expiry beyond 64 bits", signed(ours, &good_header, &twice("exp", "99999999999999999999"))),
        ("not yet valid", of_claims(json!({ "nbf": NOW + 31 }))),
        ("issued in the future", of_claims(json!({ "iat": NOW + 31 }))),
        ("no time of issue", of_claims(json!({ "iat": null }))),
        ("no token id", of_claims(json!({ "jti": null }))),
        (
            "subject twice",
            signed(ours, &good_header, &twice("sub", r#""018f0000-0000-7000-8000-000000000002""#)),
        ),
        ("roles twice", signed(ours, &good_header, &twice("roles", r#"["OPERATOR"]"#))),
        ("audience twice", signed(ours, &good_header, &twice("aud", r#""ev-app""#))),
        ("claims that are a list", signed(ours, &good_header, "[]")),
        ("claims that are null", signed(ours, &good_header, "null")),
        ("claims that are no JSON", signed(ours, &good_header, "{")),
        ("claims that are no UTF-8", {
            let message = format!("{h}.{}", URL_SAFE_NO_PAD.encode([0xff, 0xfe]));
            let signature =
                jsonwebtoken::crypto::sign(message.as_bytes(), &ours.private, Algorithm::EdDSA).unwrap();
            format!("{message}.{signature}")
        }),
        ("huge", of_claims(json!({ "padding": "x".repeat(4096) }))),
        ("deep", signed(ours, &good_header, &twice("x", &"[".repeat(1000)))),
    ];
    let accepted: Vec<_> =
        corpus.iter().filter(|(_, token)| check(&world, token).is_ok()).map(|(what, _)| what).collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}
