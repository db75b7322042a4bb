//! Forged and odd access tokens, made for whoever has the issuer's key: none of them may be accepted anywhere. The
//! first half is what a stranger can do, the second what would be odd even if we had signed it.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The issuer, keys and all, and a stranger with a key of their own.
pub(crate) struct Issuer {
    pub(crate) kid: String,
    /// PKCS #8 and SubjectPublicKeyInfo, Ed25519.
    pub(crate) private_pem: String,
    pub(crate) public_pem: String,
    pub(crate) stranger_pem: String,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// Whose the good token is.
    pub(crate) subject: String,
    /// Unix seconds.
    pub(crate) now: i64,
}

/// What the token is, and its text.
pub(crate) type Case = (&'static str, String);

impl Issuer {
    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": self.kid })
    }

    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": self.audience, "sub": self.subject, "roles": ["DRIVER"],
            "iat": self.now - 60, "exp": self.now + 840, "jti": "7f2c1b1e-9a0e-4d7e-8a52-0d5a3c1f7a11",
        })
    }

    /// A token with these parts and the issuer's signature.
    pub(crate) fn signed(&self, header: &str, claims: &str) -> String {
        signed(&self.private_pem, header, claims.as_bytes())
    }

    /// The one token of all that is good.
    pub(crate) fn good(&self) -> String {
        self.signed(&self.header().to_string(), &self.claims().to_string())
    }

    /// The good token with other claims.
    pub(crate) fn with_claims(&self, changes: Value) -> String {
        self.signed(&self.header().to_string(), &with(self.claims(), changes).to_string())
    }

    fn with_header(&self, changes: Value) -> String {
        self.signed(&with(self.header(), changes).to_string(), &self.claims().to_string())
    }
}

/// `base` with `changes` laid over it; null removes.
pub(crate) fn with(mut base: Value, changes: Value) -> Value {
    let (fields, Value::Object(changes)) = (base.as_object_mut().unwrap(), changes) else { unreachable!() };
    for (name, value) in changes {
        if value.is_null() {
            fields.remove(&name)
        } else {
            fields.insert(name, value)
        };
    }
    base
}

pub(crate) fn signed(private_pem: &str, header: &str, claims: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_ed_pem(private_pem.as_bytes()).unwrap();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

/// Every token that an HTTP header can carry.
pub(crate) fn corpus(issuer: &Issuer) -> Vec<Case> {
    let mut corpus = damaged(issuer);
    corpus.extend(of_other_keys(issuer));
    corpus.extend(odd_headers(issuer));
    corpus.extend(odd_claims(issuer));
    corpus
}

/// Those that no HTTP header can carry, or that arrive as the good one.
pub(crate) fn unsendable(issuer: &Issuer) -> Vec<Case> {
    let good = issuer.good();
    vec![
        ("nothing", String::new()),
        ("spaces", "   ".into()),
        ("unicode", "ünïcödé.tökén.🔑".into()),
        ("a NUL", format!("{good}\0")),
        ("a line break", format!("{good}\n")),
        ("a leading space", format!(" {good}")),
        ("a trailing space", format!("{good} ")),
        ("its scheme", format!("Bearer {good}")),
    ]
}

/// The good token, broken.
fn damaged(issuer: &Issuer) -> Vec<Case> {
    let good = issuer.good();
    let parts: Vec<&str> = good.split('.').collect();
    let [h, c, s] = parts[..] else { unreachable!() };
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let operator = encode(&with(issuer.claims(), json!({ "roles": ["OPERATOR"] })).to_string());
    let another = issuer.with_claims(json!({ "jti": "7f2c1b1e-9a0e-4d7e-8a52-0d5a3c1f7a12" }));
    let mut flipped = s.to_owned();
    flipped.replace_range(10..11, if &s[10..11] == "A" { "B" } else { "A" });
    let bytes = URL_SAFE_NO_PAD.decode(s).unwrap();
    vec![
        ("dots", "..".into()),
        ("no token", "hello".into()),
        ("its scheme twice", format!("Bearer Bearer {good}")),
        ("another scheme", format!("Basic {good}")),
        ("a refresh token", URL_SAFE_NO_PAD.encode([7; 32])),
        ("two parts", format!("{h}.{c}")),
        ("no signature", format!("{h}.{c}.")),
        ("four parts", format!("{good}.{s}")),
        ("a dot too many before", format!(".{good}")),
        ("a dot too many behind", format!("{good}.")),
        ("five parts (JWE)", format!("{h}.{c}.{s}.{c}.{s}")),
        ("JSON serialization", json!({ "payload": c, "protected": h, "signature": s }).to_string()),
        ("truncated", good[..good.len() - 4].into()),
        ("padded", format!("{good}=")),
        ("base64 with other last bits", format!("{h}.{c}.{}", with_other_last_bits(s))),
        ("standard base64", format!("{h}.{c}.{}", STANDARD.encode(&bytes))),
        ("a space within", format!("{h}. {c}.{s}")),
        ("a changed signature", format!("{h}.{c}.{flipped}")),
        ("a signature of zeros", format!("{h}.{c}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        (
            "a signature that is too long",
            format!("{h}.{c}.{}", URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat())),
        ),
        (
            "the same signature told another way",
            format!("{h}.{c}.{}", URL_SAFE_NO_PAD.encode(plus_order(&bytes))),
        ),
        ("the signature of another token", format!("{h}.{c}.{}", another.rsplit('.').next().unwrap())),
        ("changed claims", format!("{h}.{operator}.{s}")),
        ("swapped parts", format!("{c}.{h}.{s}")),
    ]
}

/// The same bytes to a decoder that is not strict: the last of 86 characters holds two bits and four spare ones.
fn with_other_last_bits(signature: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = signature.split_at(signature.len() - 1);
    let index = ALPHABET.iter().position(|c| last.as_bytes()[0] == *c).unwrap();
    format!("{rest}{}", char::from(ALPHABET[index | 1]))
}

/// S + L instead of S: fits the equation, and is refused by RFC 8032.
fn plus_order(signature: &[u8]) -> Vec<u8> {
    let mut order = [0_u8; 32];
    order[..16].copy_from_slice(&0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128.to_le_bytes());
    order[31] = 0x10;
    let (mut sum, mut carry) = (signature.to_vec(), 0);
    for (byte, add) in sum[32..].iter_mut().zip(order) {
        let total = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(total & 0xff).unwrap();
        carry = total >> 8;
    }
    sum
}

/// Signed with what is no key of ours.
fn of_other_keys(issuer: &Issuer) -> Vec<Case> {
    let (header, claims) = (issuer.header().to_string(), issuer.claims().to_string());
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let unsigned = |alg: &str| {
        let header = with(issuer.header(), json!({ "alg": alg })).to_string();
        format!("{}.{}.", encode(&header), encode(&claims))
    };
    let with_secret = |alg, secret: &[u8]| {
        let header = Header { typ: Some("at+jwt".into()), kid: Some(issuer.kid.clone()), ..Header::new(alg) };
        jsonwebtoken::encode(&header, &issuer.claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let theirs = |header: Value| signed(&issuer.stranger_pem, &header.to_string(), claims.as_bytes());
    let public_der = STANDARD.decode(issuer.public_pem.lines().nth(1).unwrap()).unwrap();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([1; 32]) });
    vec![
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("alg none, signed", issuer.with_header(json!({ "alg": "none" }))),
        ("alg HS256 under the public key's PEM", with_secret(Algorithm::HS256, issuer.public_pem.as_bytes())),
        ("alg HS256 under the public key's DER", with_secret(Algorithm::HS256, &public_der)),
        ("alg HS256 under the public key's bytes", with_secret(Algorithm::HS256, &public_der[12..])),
        ("alg HS512 under nothing", with_secret(Algorithm::HS512, b"")),
        ("somebody else's key", signed(&issuer.stranger_pem, &header, claims.as_bytes())),
        ("a key of its own (jwk)", theirs(with(issuer.header(), json!({ "jwk": jwk })))),
        ("an unknown kid", theirs(with(issuer.header(), json!({ "kid": "2025-01" })))),
        ("a path as kid", theirs(with(issuer.header(), json!({ "kid": "../../dev/null" })))),
        ("SQL as kid", theirs(with(issuer.header(), json!({ "kid": "' OR ''='" })))),
        ("a huge kid", theirs(with(issuer.header(), json!({ "kid": "k".repeat(2000) })))),
    ]
}

/// With our signature below a header that we do not write.
fn odd_headers(issuer: &Issuer) -> Vec<Case> {
    let of = |changes| issuer.with_header(changes);
    let claims = issuer.claims().to_string();
    let twice = issuer.header().to_string().replacen('{', &format!(r#"{{"kid":"{}","#, issuer.kid), 1);
    vec![
        ("no alg", of(json!({ "alg": null }))),
        ("alg ES256", of(json!({ "alg": "ES256" }))),
        ("alg RS256", of(json!({ "alg": "RS256" }))),
        ("alg Ed25519", of(json!({ "alg": "Ed25519" }))),
        ("alg in small letters", of(json!({ "alg": "eddsa" }))),
        ("alg a list", of(json!({ "alg": ["EdDSA"] }))),
        ("an ID token", of(json!({ "typ": "JWT" }))),
        ("no typ", of(json!({ "typ": null }))),
        ("typ in capitals", of(json!({ "typ": "AT+JWT" }))),
        ("no kid", of(json!({ "kid": null }))),
        ("an empty kid", of(json!({ "kid": "" }))),
        ("a number as kid", of(json!({ "kid": 1 }))),
        ("kid twice", issuer.signed(&twice, &claims)),
        ("an address of keys (jku)", of(json!({ "jku": "https://evil.example/jwks.json" }))),
        ("an address of a certificate (x5u)", of(json!({ "x5u": "https://evil.example/cert.pem" }))),
        ("a certificate (x5c)", of(json!({ "x5c": ["MIIB"] }))),
        ("a critical extension", of(json!({ "crit": ["exp"] }))),
        ("an unencoded payload", of(json!({ "b64": false }))),
        ("compressed", of(json!({ "zip": "DEF" }))),
        ("a token in a token", of(json!({ "cty": "JWT" }))),
        ("a header that is a list", issuer.signed("[]", &claims)),
        ("a header that is no JSON", issuer.signed("{", &claims)),
    ]
}

/// With our signature below claims that we do not make.
fn odd_claims(issuer: &Issuer) -> Vec<Case> {
    let of = |changes| issuer.with_claims(changes);
    let (now, header, claims) = (issuer.now, issuer.header().to_string(), issuer.claims().to_string());
    let raw = |claims: &str| issuer.signed(&header, claims);
    let twice =
        |name: &str, value: &str| raw(&format!("{},\"{name}\":{value}}}", &claims[..claims.len() - 1]));
    vec![
        ("another issuer", of(json!({ "iss": "evil" }))),
        ("an issuer with a slash more", of(json!({ "iss": format!("{}/", issuer.issuer) }))),
        ("two issuers", of(json!({ "iss": [issuer.issuer, "evil"] }))),
        ("no issuer", of(json!({ "iss": null }))),
        ("another audience", of(json!({ "aud": "ev-vendor" }))),
        ("many audiences", of(json!({ "aud": [issuer.audience, "ev-vendor"] }))),
        ("a list of one audience", of(json!({ "aud": [issuer.audience] }))),
        ("no audience", of(json!({ "aud": null }))),
        ("an empty audience", of(json!({ "aud": "" }))),
        ("no subject", of(json!({ "sub": null }))),
        ("an empty subject", of(json!({ "sub": "" }))),
        ("a subject that is no id", of(json!({ "sub": "ada@example.com" }))),
        ("a subject that is a number", of(json!({ "sub": 1 }))),
        ("no roles", of(json!({ "roles": null }))),
        ("an empty list of roles", of(json!({ "roles": [] }))),
        ("a role that does not exist", of(json!({ "roles": ["ROOT"] }))),
        ("a role in small letters", of(json!({ "roles": ["operator"] }))),
        ("roles as text", of(json!({ "roles": "OPERATOR" }))),
        ("expired", of(json!({ "exp": now - 31 }))),
        ("no expiry", of(json!({ "exp": null }))),
        ("expiry null", raw(&claims.replace(&(now + 840).to_string(), "null"))),
        ("expiry true", of(json!({ "exp": true }))),
        ("expiry as text", of(json!({ "exp": "9999999999" }))),
        ("expiry as a fraction", of(json!({ "exp": 1e12 }))),
        ("expiry below zero", of(json!({ "exp": -1 }))),
        ("expiry beyond 64 bits", raw(&claims.replace(&(now + 840).to_string(), "99999999999999999999"))),
        ("expiry twice", twice("exp", "99999999999")),
        ("not yet valid", of(json!({ "nbf": now + 3600 }))),
        ("issued in the future", of(json!({ "iat": now + 3600 }))),
        ("no time of issue", of(json!({ "iat": null }))),
        ("no token id", of(json!({ "jti": null }))),
        ("subject twice", twice("sub", r#""018f0000-0000-7000-8000-000000000002""#)),
        ("roles twice", twice("roles", r#"["OPERATOR"]"#)),
        ("audience twice", twice("aud", &format!("{:?}", issuer.audience))),
        ("claims that are a list", raw("[]")),
        ("claims that are null", raw("null")),
        ("claims that are no JSON", raw("{")),
        ("claims with a comment", raw(&format!("{claims}// ok"))),
        ("claims that are no UTF-8", signed(&issuer.private_pem, &header, &[0xff, 0xfe])),
        ("huge", of(json!({ "padding": "x".repeat(4096) }))),
        ("deep", twice("x", &"[".repeat(1000))),
    ]
}
