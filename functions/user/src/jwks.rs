//! The public keys for other parties that verify our access tokens (RFC 7517, RFC 8037).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use shared::{Failure, Timestamp};

use crate::keys::{VerifyingKey, VerifyingKeys};

/// A set of keys.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Jwks {
    /// Those that verify now, all of a rotation.
    pub keys: Vec<Jwk>,
}

/// One Ed25519 key.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    kid: String,
    /// The 32 bytes, base64url.
    x: String,
}

/// Every key that verifies now.
pub async fn jwks(keys: &VerifyingKeys, now: Timestamp) -> Result<Jwks, Failure> {
    let keys = keys.all(now).await?;
    Ok(Jwks { keys: keys.iter().map(jwk).collect::<Result<_, _>>()? })
}

fn jwk(key: &VerifyingKey) -> Result<Jwk, Failure> {
    let bytes = key.key.try_get_as_bytes().map_err(Failure::fault)?;
    let x = URL_SAFE_NO_PAD.encode(bytes);
    Ok(Jwk { kty: "OKP", crv: "Ed25519", alg: "EdDSA", usage: "sig", kid: key.kid.clone(), x })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_told_as_its_32_bytes() {
        let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().public_key_pem();
        let secret = json!({ "keys": [{ "kid": "2026-02", "publicKey": pem }] });
        let key = &VerifyingKey::parse_all(&secret.to_string()).unwrap()[0];
        // The SPKI of an Ed25519 key is twelve fixed bytes and the key.
        let spki = STANDARD.decode(pem.lines().nth(1).unwrap()).unwrap();
        assert_eq!(
            serde_json::to_value(jwk(key).unwrap()).unwrap(),
            json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "2026-02",
                "x": URL_SAFE_NO_PAD.encode(&spki[12..]),
            })
        );
    }
}
