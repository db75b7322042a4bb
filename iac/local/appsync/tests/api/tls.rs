//! The TLS listener, for clients that insist on it.

use std::sync::Arc;

use appsync::Certificate;
use serde_json::{Value, json};

use crate::support::{Setup, TOKEN};

#[tokio::test]
async fn a_client_that_trusts_the_written_authority_is_served_over_tls() {
    let api = Setup::new().direct("Query.getStation", |_| Ok(json!({"id": "s"}))).serve().await;
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::create(directory.path()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (served, stop) = (Arc::clone(&api.api), api.stop.clone());
    let server = tokio::spawn({
        let certificate = certificate.clone();
        async move { served.serve_tls(listener, &certificate, stop).await }
    });

    let authority = std::fs::read(&certificate.authority).unwrap();
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    for certificate in certificates(&authority) {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let body = json!({"query": "{ getStation(id: 1) { id } }"}).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nauthorization: {TOKEN}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A server that closes without TLS's own goodbye is an error to rustls and none to us.
    let _ = stream.read_to_string(&mut answer).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({"data": {"getStation": {"id": "s"}}}));
    drop(stream);

    api.stop.cancel();
    server.await.unwrap().unwrap();
}

fn certificates(pem: &[u8]) -> Vec<tokio_rustls::rustls::pki_types::CertificateDer<'static>> {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    tokio_rustls::rustls::pki_types::CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap()
}
