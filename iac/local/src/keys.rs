//! The keys that sign access tokens and links here, made once for a data folder so that both outlive a restart.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PKCS_ED25519};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// An Ed25519 key pair as the functions' secrets hold it.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    /// Names the key in a token's header.
    pub(crate) kid: String,
    /// PKCS#8 PEM.
    pub(crate) private_pem: String,
    /// SubjectPublicKeyInfo PEM.
    pub(crate) public_pem: String,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The file cannot be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
    /// The file holds no Ed25519 key.
    #[error("{0}: {1}; delete the file to have a new key made")]
    Unreadable(PathBuf, rcgen::Error),
}

/// The key in `data`, made on first use.
pub(crate) fn signing_key(data: &Path) -> Result<SigningKey, KeyError> {
    let path = data.join("token-signing-key.pem");
    let pem = kept(&path, || {
        let pair = KeyPair::generate_for(&PKCS_ED25519);
        pair.map(|pair| pair.serialize_pem()).map_err(|error| KeyError::Unreadable(path.clone(), error))
    })?;
    let pair = KeyPair::from_pem(&pem).map_err(|error| KeyError::Unreadable(path, error))?;
    let fingerprint = Sha256::digest(pair.public_key_raw());
    let kid: String = fingerprint.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(SigningKey { kid, private_pem: pem, public_pem: pair.public_key_pem() })
}

/// The key of links to invoices in `data`, made on first use.
pub(crate) fn invoice_link_key(data: &Path) -> Result<String, KeyError> {
    let random = || Ok(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()));
    kept(&data.join("invoice-link-key"), random)
}

/// What the file holds; made and written, for its owner alone, if there is none.
fn kept(path: &Path, make: impl FnOnce() -> Result<String, KeyError>) -> Result<String, KeyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(KeyError::Io(path.to_owned(), error)),
    }
    let text = make()?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map(|()| text).map_err(|error| KeyError::Io(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

    use super::*;

    #[test]
    fn a_token_signed_with_it_verifies_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = signing_key(folder.path()).unwrap();
        let second = signing_key(folder.path()).unwrap();
        assert_eq!(first.kid, second.kid);

        let claims = serde_json::json!({"sub": "driver", "exp": 4_000_000_000_u64});
        let private = EncodingKey::from_ed_pem(first.private_pem.as_bytes()).unwrap();
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &private).unwrap();
        let public = DecodingKey::from_ed_pem(second.public_pem.as_bytes()).unwrap();
        let validation = Validation::new(Algorithm::EdDSA);
        let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, &public, &validation).unwrap();
        assert_eq!(decoded.claims["sub"], "driver");
    }

    #[test]
    fn a_link_is_valid_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = invoice_link_key(folder.path()).unwrap();
        assert_eq!(invoice_link_key(folder.path()).unwrap(), first);
        assert!(first.len() >= 32);
        assert_ne!(invoice_link_key(tempfile::tempdir().unwrap().path()).unwrap(), first);
    }

    #[test]
    fn a_spoilt_key_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token-signing-key.pem"), "spoilt").unwrap();
        let error = signing_key(folder.path()).unwrap_err().to_string();
        assert!(error.contains("token-signing-key.pem"), "{error}");
    }
}
