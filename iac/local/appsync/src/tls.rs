//! A certificate for this machine alone: some clients speak TLS to a WebSocket whatever they are told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A server certificate and the authority that signed it, both made at start and known to nobody else.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The authority's certificate, for `NODE_EXTRA_CA_CERTS` and its like.
    pub authority: PathBuf,
    pub(crate) config: Arc<ServerConfig>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate could not be made.
    #[error("certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The authority's file could not be written.
    #[error("certificate: {0}")]
    Write(#[from] std::io::Error),
    /// TLS refused it.
    #[error("certificate: {0}")]
    Use(#[from] tokio_rustls::rustls::Error),
}

impl Certificate {
    /// Makes a certificate for localhost and writes the authority's to `directory/local-ca.pem`.
    ///
    /// # Errors
    /// The file cannot be written, or cryptography fails.
    pub fn create(directory: &Path) -> Result<Self, CertificateError> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "local stack");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);

        let mut server = CertificateParams::new(NAMES.map(str::to_owned))?;
        server.distinguished_name.push(DnType::CommonName, "localhost");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate()?;
        let server_certificate = server.signed_by(&server_key, &issuer)?;

        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![server_certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
            )?;
        // A WebSocket is upgraded from HTTP/1.1 only.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];

        std::fs::create_dir_all(directory)?;
        let path = directory.join("local-ca.pem");
        std::fs::write(&path, authority_certificate.pem())?;
        Ok(Self { authority: path, config: Arc::new(config) })
    }
}
