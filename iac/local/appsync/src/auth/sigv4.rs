//! Checks AWS Signature Version 4 against the one set of credentials that exists on this machine.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::Headers;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What every process of the local stack is given as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
pub(super) const ACCESS_KEY: &str = "local";
const SECRET: &str = "local";
const SERVICE: &str = "appsync";
const MAX_SKEW: TimeDelta = TimeDelta::minutes(5);

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The parts of a request that a signature covers beside its headers.
pub(crate) struct SignedTarget<'a> {
    pub(crate) method: &'a str,
    /// As sent, percent-encoded.
    pub(crate) path: &'a str,
    /// As sent, without `?`.
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
}

/// Why a signature is refused: for the log, never for the caller.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignatureFault {
    #[error("the Authorization header is not well formed")]
    Malformed,
    #[error("x-amz-date is missing, unreadable or more than five minutes away")]
    Date,
    #[error("the credential is unknown or its scope is not this service")]
    Credential,
    #[error("a header named in SignedHeaders is not in the request, or host is not signed")]
    SignedHeaders,
    #[error("the signature does not match")]
    Signature,
}

pub(super) fn verify(
    headers: &Headers,
    target: &SignedTarget<'_>,
    now: DateTime<Utc>,
) -> Result<(), SignatureFault> {
    let authorization = headers.get("authorization").ok_or(SignatureFault::Malformed)?;
    let parameters = authorization.strip_prefix(ALGORITHM).ok_or(SignatureFault::Malformed)?;
    let parameter = |name: &str| {
        parameters
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .ok_or(SignatureFault::Malformed)
    };
    let (credential, signed_headers) = (parameter("Credential")?, parameter("SignedHeaders")?);
    let signature = decode_hex(parameter("Signature")?).ok_or(SignatureFault::Malformed)?;

    let stamp = headers.get("x-amz-date").ok_or(SignatureFault::Date)?;
    let time =
        NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M%SZ").map_err(|_| SignatureFault::Date)?.and_utc();
    if (now - time).abs() > MAX_SKEW {
        return Err(SignatureFault::Date);
    }
    let scope: Vec<&str> = credential.split('/').collect();
    let &[access_key, date, region, SERVICE, "aws4_request"] = scope.as_slice() else {
        return Err(SignatureFault::Credential);
    };
    if access_key != ACCESS_KEY || !stamp.starts_with(date) || date.len() != 8 {
        return Err(SignatureFault::Credential);
    }

    let request = canonical_request(headers, target, signed_headers)?;
    let to_sign = format!(
        "{ALGORITHM}\n{stamp}\n{date}/{region}/{SERVICE}/aws4_request\n{}",
        hex(&Sha256::digest(request.as_bytes()))
    );
    let key = [date, region, SERVICE, "aws4_request"]
        .iter()
        .try_fold(format!("AWS4{SECRET}").into_bytes(), |key, part| {
            Some(keyed(&key, part)?.finalize().into_bytes().to_vec())
        })
        .ok_or(SignatureFault::Signature)?;
    let expected = keyed(&key, &to_sign).ok_or(SignatureFault::Signature)?;
    expected.verify_slice(&signature).map_err(|_| SignatureFault::Signature)
}

fn canonical_request(
    headers: &Headers,
    target: &SignedTarget<'_>,
    signed_headers: &str,
) -> Result<String, SignatureFault> {
    let mut canonical_headers = String::new();
    for name in signed_headers.split(';') {
        let value = headers.get(name).ok_or(SignatureFault::SignedHeaders)?;
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        canonical_headers += &format!("{name}:{value}\n");
    }
    if !signed_headers.split(';').any(|name| name == "host") {
        return Err(SignatureFault::SignedHeaders);
    }
    let mut query: Vec<String> = target
        .query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("{}={}", recode(name), recode(value))
        })
        .collect();
    query.sort();
    let path = utf8_percent_encode(target.path, PATH);
    let body = hex(&Sha256::digest(target.body));
    Ok(format!(
        "{}\n{path}\n{}\n{canonical_headers}\n{signed_headers}\n{body}",
        target.method,
        query.join("&")
    ))
}

fn recode(text: &str) -> String {
    let plain = percent_decode_str(text).collect::<Vec<u8>>();
    percent_encoding::percent_encode(&plain, UNRESERVED).to_string()
}

fn keyed(key: &[u8], message: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message.as_bytes());
    Some(mac)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
