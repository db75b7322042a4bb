//! What proves that a webhook comes from the provider: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=…]`, an HMAC-SHA256
//! over the time, a point, and the body as it came.

use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use shared::Timestamp;

/// A message older (or newer, by the clocks' difference) than that may be one that somebody kept.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// One a secret, and some that we need not understand.
const MOST_SIGNATURES: usize = 8;
const LONGEST_HEADER: usize = 2048;

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// Not what the provider sends.
    #[error("no signature as the provider writes it")]
    Malformed,
    /// Signed, but not now.
    #[error("signed too long ago")]
    Stale,
    /// Not signed by any of our secrets.
    #[error("signed by somebody else")]
    Forged,
}

/// Whether `header` signs `body` by one of `secrets`, within five minutes of `now`. Takes the same time wherever a
/// signature begins to differ.
pub fn verify<S: AsRef<[u8]>>(
    header: &str,
    body: &[u8],
    secrets: &[S],
    now: Timestamp,
) -> Result<(), Unverified> {
    let (time, signatures) = parse(header).ok_or(Unverified::Malformed)?;
    let signed_at = time.parse().ok().and_then(|seconds| Timestamp::from_timestamp(seconds, 0));
    let signed_at = signed_at.ok_or(Unverified::Malformed)?;
    if (now - signed_at).abs() > WINDOW {
        return Err(Unverified::Stale);
    }
    for secret in secrets {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_ref()).map_err(|_| Unverified::Forged)?;
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        if signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok()) {
            return Ok(());
        }
    }
    Err(Unverified::Forged)
}

/// The time as it was signed, and the signatures of the scheme that we know.
fn parse(header: &str) -> Option<(&str, Vec<[u8; 32]>)> {
    if header.len() > LONGEST_HEADER {
        return None;
    }
    let (mut time, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=')? {
            ("t", text) if time.is_none() => time = Some(text),
            ("t", _) => return None,
            ("v1", text) if signatures.len() < MOST_SIGNATURES => signatures.push(bytes(text)?),
            ("v1", _) => return None,
            // Other schemes, such as v0 of the provider's test mode, prove nothing.
            _ => {}
        }
    }
    time.filter(|_| !signatures.is_empty()).map(|time| (time, signatures))
}

/// 64 hexadecimal digits.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const SECRETS: [&str; 2] = ["whsec_of_this_year_0001", "whsec_of_last_year_0001"];
    const BODY: &[u8] = br#"{"id": "evt_1"}"#;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_771_684_260 + seconds, 0).unwrap()
    }

    fn hex(secret: &str, time: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(&[format!("{time}.").as_bytes(), body].concat());
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn signed(secret: &str, now: Timestamp) -> String {
        let time = now.timestamp();
        format!("t={time},v1={}", hex(secret, time, BODY))
    }

    fn check(header: &str, now: Timestamp) -> Result<(), Unverified> {
        verify(header, BODY, &SECRETS, now)
    }

    #[test]
    fn the_signature_is_what_another_program_makes_of_the_same() {
        // printf '1771684260.{"id": "evt_1"}' | openssl dgst -sha256 -hmac whsec_of_this_year_0001
        assert_eq!(hex(SECRETS[0], 1_771_684_260, BODY), KNOWN);
        assert_eq!(check(&format!("t=1771684260,v1={KNOWN},v0=00"), at(0)), Ok(()));
    }

    const KNOWN: &str = "929516b73952277d456ac030b03eb90b29289c51003b2e56667a6ff3e1b97666";

    #[test]
    fn either_secret_signs_during_a_rotation() {
        for secret in SECRETS {
            assert_eq!(check(&signed(secret, at(0)), at(3)), Ok(()));
        }
        // As the provider does then: one signature by each.
        let both = format!(
            "{},v1={}",
            signed("whsec_that_is_not_ours", at(0)),
            hex(SECRETS[1], at(0).timestamp(), BODY)
        );
        assert_eq!(check(&both, at(0)), Ok(()));
        assert_eq!(check(&signed("whsec_that_is_not_ours", at(0)), at(0)), Err(Unverified::Forged));
        assert_eq!(verify::<&str>(&signed("", at(0)), BODY, &[], at(0)), Err(Unverified::Forged));
    }

    #[test]
    fn five_minutes_are_enough() {
        let header = signed(SECRETS[0], at(0));
        for (seconds, verdict) in [(-301, false), (-300, true), (300, true), (301, false)] {
            let expected = if verdict { Ok(()) } else { Err(Unverified::Stale) };
            assert_eq!(check(&header, at(seconds)), expected, "{seconds}");
        }
        // A newer time with the old signature.
        let moved = header.replace("t=1771684260", "t=1771684560");
        assert_eq!(check(&moved, at(300)), Err(Unverified::Forged));
    }

    #[test]
    fn anything_else_is_no_signature() {
        let good = signed(SECRETS[0], at(0));
        let signature = good.split_once(',').unwrap().1;
        for header in [
            "",
            "t=1771684260",
            "t=1771684260,v1=",
            "t=1771684260,v1=zz",
            "t=,v1=00",
            signature,
            &good.replace("v1=", "v0="),
            &format!("t=x,{signature}"),
            &format!("t=99999999999999999999,{signature}"),
            &format!("{good},t=1771684260"),
            &good.repeat(40),
            &format!("{good}0"),
            &format!(
                "{good},{signature},{signature},{signature},{signature},{signature},{signature},{signature},{signature}"
            ),
        ] {
            assert_eq!(check(header, at(0)), Err(Unverified::Malformed), "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_body_or_a_signature_that_was_touched_is_refused(place in 0usize..64, at_byte in 0usize..15) {
            let good = signed(SECRETS[0], at(0));
            let mut signature: Vec<u8> = good.clone().into_bytes();
            let place = signature.len() - 64 + place;
            signature[place] = if signature[place] == b'0' { b'1' } else { b'0' };
            let forged = check(std::str::from_utf8(&signature).unwrap(), at(0));
            prop_assert_eq!(forged, Err(Unverified::Forged));
            let mut body = BODY.to_vec();
            body[at_byte] ^= 1;
            prop_assert_eq!(verify(&good, &body, &SECRETS, at(0)), Err(Unverified::Forged));
        }

        #[test]
        fn no_header_makes_it_panic(header in ".{0,200}") {
            prop_assert!(check(&header, at(0)).is_err());
        }
    }
}
